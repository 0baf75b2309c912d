// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// TestLogIns_WhichSpellingsAreTried: those that accounts have, if anybody says so, or else
// as many as a homeserver grants at once.
func TestLogIns_WhichSpellingsAreTried(t *testing.T) {
	const a, b, c, d = "a@x.org", "b@x.org", "c@x.org", "d@x.org"
	for name, tt := range map[string]struct {
		config    func(*Config)
		oracle    oracle
		spellings []string
		want      []string
		asked     int
	}{
		"one":                 {config: callback.config, spellings: []string{a}, want: []string{a}},
		"known":               {config: callback.config, oracle: oracle{codes: map[string]string{b: wire.CodeThreepidInUse}}, spellings: []string{a, b}, want: []string{b}, asked: 2},
		"nobody's":            {config: callback.config, spellings: []string{a, b}, asked: 2},
		"nobody says":         {config: callback.config, oracle: oracle{codes: map[string]string{b: ""}}, spellings: []string{a, b, c, d}, want: []string{a, b, c}, asked: 2},
		"may not be asked":    {oracle: oracle{add: newHomeserver}, spellings: []string{a, b, c, d}, want: []string{a, b, c}, asked: 1},
		"nobody knows if so":  {oracle: oracle{add: upstream(502, ``)}, spellings: []string{a, b}, want: []string{a, b}, asked: 1},
		"an old one is asked": {oracle: oracle{add: oldHomeserver, codes: map[string]string{a: wire.CodeThreepidInUse}}, spellings: []string{a, b}, want: []string{a}, asked: 4},
	} {
		r := newRig(t, options{config: tt.config})
		l := &login{client: r.client, spellings: tt.spellings}
		got := l.choose(&wire.Call{R: httptest.NewRequest("POST", loginPath, http.NoBody), Next: tt.oracle.next})
		if !slices.Equal(got, tt.want) || len(tt.oracle.asked) != tt.asked {
			t.Errorf("%s: got %q after %q, want %q", name, got, tt.oracle.asked, tt.want)
		}
	}
}

// TestLogIns_WhereTheAddressStands: it is replaced where a homeserver reads it, and the
// rest is as it came.
func TestLogIns_WhereTheAddressStands(t *testing.T) {
	const third = `"identifier":{"type":"m.id.thirdparty","medium":"email","address":"%s","x":1}`
	for _, shape := range []string{
		`{"type":"m.login.password","password":"p",` + third + `,"y":[1.50]}`,
		`{"type":"m.login.password","password":"p","medium":"email","address":"%s","y":1}`,
		`{"type":"m.login.password","password":"p","medium":"email",` + third + `}`,
		`{"type":"m.login.password","password":"p","address":"other@x.org",` + third + `}`,
		`{"type":"m.login.password","password":"p","medium":null,"address":"other@x.org",` + third + `}`,
	} {
		for typed, stored := range map[string]string{"ME@xn--bcher-kva.example": "me@b\u00fccher.example", "ME@Plain.example": "me@plain.example"} {
			r, seen := newRig(t, options{config: callback.config}), &witness{}
			r.next = seen.before(r.next)
			r.hs.AddUser("alice", "p", stored)
			rec := r.do("POST", loginPath, fmt.Sprintf(shape, typed))
			want := fmt.Sprintf(shape, stored)
			last := strings.TrimPrefix(seen.asked[len(seen.asked)-1], "r0/login ")
			if !sameJSON(t, last, want) {
				t.Errorf("%s: the homeserver saw %s (%d)", shape, last, rec.Code)
			}
			if rec.Code == http.StatusOK {
				r.wantEvent("client", "login", "ok", http.StatusOK)
			}
		}
	}
}

// TestLogIns_EndWithTheFirstAnswer that is no refusal of the password; none is told as none.
func TestLogIns_EndWithTheFirstAnswer(t *testing.T) {
	for status, tries := range map[int]int{http.StatusOK: 1, http.StatusForbidden: maxLogins, http.StatusTooManyRequests: 1, http.StatusInternalServerError: 1, 0: 1} {
		r := newRig(t, options{hs: laterHomeserver})
		got := 0
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if !strings.HasSuffix(req.URL.Path, "/login") {
				return newHomeserver(w, req)
			}
			if got++; status == 0 {
				return wire.ErrNoAnswer
			}
			return upstream(status, `{"errcode":"M_X","error":"x"}`)(w, req)
		}
		rec := r.do("POST", loginPath, strings.Replace(idnLogin, `b\u00fccher`, "xn--bcher-kva", 1))
		if got != tries || status != 0 && rec.Code != status || status == 0 && rec.Code != http.StatusBadGateway {
			t.Errorf("%d: got %d after %d tries, want %d", status, rec.Code, got, tries)
		}
	}
}
