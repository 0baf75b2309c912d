// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startNewest runs the newest Synapse for the length of a test.
func startNewest(t *testing.T, opts Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	env, err := InstallNewest(ctx, log.Printf)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("NOT PROVED ON THE NEWEST SYNAPSE: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return run(t, env, opts)
}

// TestNewest: the newest server runs from the same options, and tells the names of
// its conversations, as the oldest does.
func TestNewest(t *testing.T) {
	for version, begin := range map[string]func(*testing.T, Options) *Server{Version: start, NewestVersion: startNewest} {
		t.Run(version, func(t *testing.T) {
			s := begin(t, Options{ServerName: "example.test", Terms: true, TrustedIDServers: []string{"localhost:8443"}})
			a := do(t, s, http.MethodPost, "/_matrix/client/r0/register", "", map[string]any{"username": "ada", "password": "a password"})
			wantStatus(t, a, http.StatusUnauthorized, "")
			if got, want := a.header.Get("Server"), "Synapse/"+version; got != want {
				t.Errorf("Server: got %q, want %q", got, want)
			}
			again := map[string]any{"username": "ada", "auth": map[string]any{"session": a.str("session")}}
			wantStatus(t, do(t, s, http.MethodPost, "/_matrix/client/r0/register", "", again), http.StatusUnauthorized, "")
			list, err := s.Conversations(t.Context())
			if err != nil || len(list) != 1 || list[0].Name != a.str("session") || !strings.Contains(list[0].Request, "ada") {
				t.Errorf("conversations: got %+v, %v; want the one of ada, %s", list, err, a.str("session"))
			}
			if !strings.Contains(a.raw, "m.login.terms") {
				t.Errorf("got %s, want terms in it", a.raw)
			}
			if _, err := s.Register(t.Context(), "ada", "a password", false); err != nil {
				t.Fatal(err)
			}
			wantStatus(t, logIn(t, s, "ada", "a password"), http.StatusOK, "")
		})
	}
}

func TestNewestBelievesNobody(t *testing.T) {
	for name, opts := range map[string]Options{"email": {RequireEmail: true}, "resets": {ResetTrust: true}} {
		opts.Dir = t.TempDir()
		if _, _, err := writeConfig(NewestVersion, opts); !errors.Is(err, errOwnMail) {
			t.Errorf("%s: got error %v, want it refused", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "terms")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := writeConfig(NewestVersion, Options{Dir: filepath.Dir(file), Terms: true}); err == nil {
		t.Error("no place for the terms: got no error")
	}
}
