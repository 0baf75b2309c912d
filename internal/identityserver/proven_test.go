// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
)

func TestProvenTellsTheAddressAsItWasTyped(t *testing.T) {
	f := newFixture(t, nil)
	f.AddSession(fakeis.Session{SID: "typed", ClientSecret: secret, Medium: "email", Address: "Ada@Example.org"})
	got, err := f.client.Proven(t.Context(), f.name, token, "typed", secret)
	if want := (Bound{Medium: "email", Address: "Ada@Example.org"}); err != nil || got != want {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
	r := f.Requests()[0]
	if r.Method != http.MethodGet || r.Path != fakeis.ProvenPath || r.Header.Get("Authorization") != "Bearer "+token || strings.Contains(r.Query, token) {
		t.Errorf("got %s %s?%s with %q", r.Method, r.Path, r.Query, r.Header.Get("Authorization"))
	}
	if r.Header.Get("Content-Type") != "" || len(r.Body) != 0 {
		t.Errorf("got body %q of type %q, want none", r.Body, r.Header.Get("Content-Type"))
	}
}

// TestProvenEscapes: a session identifier is the identity server's own text.
func TestProvenEscapes(t *testing.T) {
	f := newFixture(t, nil)
	f.AddSession(fakeis.Session{SID: "a&client_secret=x#/?", ClientSecret: secret, Medium: "email", Address: address})
	if _, err := f.client.Proven(t.Context(), f.name, token, "a&client_secret=x#/?", secret); err != nil {
		t.Error(err)
	}
}

func TestProvenRefusals(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.client.Proven(t.Context(), f.name, token, "unknown", secret)
	checkRefusal(t, err, http.StatusNotFound, "M_NO_VALID_SESSION")
	_, err = f.client.Proven(t.Context(), f.name, "other", "sid1", secret)
	checkRefusal(t, err, http.StatusUnauthorized, "M_UNAUTHORIZED")
	if _, err = f.client.Proven(t.Context(), f.name, "a b", "sid1", secret); !errors.Is(err, ErrToken) {
		t.Errorf("got %v, want ErrToken", err)
	}
	for name, fail := range map[string]func(){
		"HTML":     func() { f.HTMLNext(1, http.StatusOK) },
		"bare":     func() { f.BareNext(1) },
		"redirect": func() { f.RedirectNext(1, http.StatusFound) },
		"10 MB":    func() { f.OversizeNext(1, 10<<20) },
		"cut":      func() { f.CutNext(1) },
	} {
		fail()
		_, err := f.client.Proven(t.Context(), f.name, token, "sid1", secret)
		if checkQuiet(t, err); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
