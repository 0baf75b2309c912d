// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

func TestStartRunsSydent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% mine")
	begun := time.Now()
	s := start(t, Options{Dir: dir})
	t.Logf("it answers after %s", time.Since(begun).Round(time.Millisecond))

	a, err := s.Do(t.Context(), http.MethodGet, "/_matrix/identity/versions", "", nil)
	if err != nil || a.Status != http.StatusOK || a.JSON["versions"] == nil {
		t.Errorf("versions: got %v, %v", a, err)
	}
	if got, want := s.URL(), "https://"+s.Name(); got != want || !strings.HasPrefix(s.Name(), "localhost:") {
		t.Errorf("got %s and the name %s, want a name on loopback and %s", got, s.Name(), want)
	}
	if !strings.Contains(s.Logs(), "Starting Sydent server") {
		t.Errorf("Logs: got no start in\n%s", s.Logs())
	}
	pem, err := os.ReadFile(s.CAFile())
	if err != nil || string(pem) != string(s.authority.PEM()) || !s.Pool().Equal(s.authority.Pool()) {
		t.Errorf("CA file: got %d bytes, %v; want the authority's certificate", len(pem), err)
	}

	s.Stop()
	if s.process.Forced() {
		t.Error("it had to be killed")
	}
	<-s.Done()
	if _, err := s.Do(t.Context(), http.MethodGet, "/_matrix/identity/versions", "", nil); err == nil {
		t.Error("after Stop: got an answer")
	}
	again := start(t, Options{Dir: dir, Port: s.front.Port()})
	if got, want := again.Name(), s.Name(); got != want {
		t.Errorf("on a fixed port: got the name %s, want %s", got, want)
	}
}

func TestStartFailsWithTheLog(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"exits", "echo 'first words'; echo 'the reason' >&2; exit 3", "the reason"},
		{"listens and does not answer", "echo 'x - Site starting on 1'; exec sleep 60", "502"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			python := filepath.Join(t.TempDir(), "python")
			if err := os.WriteFile(python, []byte("#!/bin/sh\n"+tc.script), 0o755); err != nil {
				t.Fatal(err)
			}
			s, err := Start(t.Context(), Env{venv.Env{Python: python}}, Options{Dir: t.TempDir()})
			if err == nil || s != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error with %q", s, err, tc.want)
			}
			if tc.name == "exits" && !errors.Is(err, venv.ErrExited) {
				t.Errorf("got error %v, want ErrExited", err)
			}
		})
	}
}

// TestRegister is about the ways not to get an account; every other test gets
// one in the real way.
func TestRegister(t *testing.T) { //nolint:tparallel // newWorld makes it parallel, and its cases need no more
	w := newWorld(t, Options{})
	account := w.account("ada")
	good := string(w.openID(account.UserID, account.AccessToken))
	for _, tc := range []struct{ name, token, want string }{
		{"not a token of that homeserver", `{"access_token":"x","matrix_server_name":"` + w.front.Name() + `"}`, "500 M_UNKNOWN"},
		{"nobody there", strings.Replace(good, w.front.Name(), "localhost:1", 1), "500 M_UNKNOWN"},
		// Its certificate is by an authority that Sydent does not trust.
		{"an authority unknown", strings.Replace(good, w.front.Name(), w.sydent.Name(), 1), "500 M_UNKNOWN"},
		{"outside of loopback", strings.Replace(good, w.front.Name(), "192.0.2.1:8448", 1), "500 M_UNKNOWN"},
		{"no server name", `{"access_token":"x"}`, "400 M_MISSING_PARAMS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if token, err := w.sydent.Register(t.Context(), []byte(tc.token)); token != "" || err == nil || !strings.HasSuffix(err.Error(), tc.want) {
				t.Errorf("got a token of %d characters, error %v; want %s", len(token), err, tc.want)
			}
		})
	}
	for _, reason := range []string{"did not include 'sub'", "(ConnectionRefusedError)", "(ResponseNeverReceived)", "Dropped 192.0.2.1"} {
		if !strings.Contains(w.sydent.Logs(), reason) {
			t.Errorf("the log does not tell the reason %q", reason)
		}
	}
	token, err := w.sydent.Register(t.Context(), []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.sydent.Do(t.Context(), http.MethodGet, v2+"/account", token, nil)
	if err != nil || a.Text("user_id") != account.UserID {
		t.Errorf("account: got %v for %q, %v; want %s", a, a.Text("user_id"), err, account.UserID)
	}
}
