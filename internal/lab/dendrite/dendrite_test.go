// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// realEnv returns the real Dendrite. A machine that cannot have it skips, and
// loudly, but on CI that is a failure: there the proof is owed.
func realEnv(t *testing.T) Env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	env, err := Install(ctx, t.Logf)
	switch {
	case errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVED ON A REAL DENDRITE: %v", err)
	case err != nil:
		t.Fatalf("Install: %v", err)
	}
	return env
}

func TestServerRunsAndKeepsItsUsers(t *testing.T) {
	env, dir := realEnv(t), t.TempDir()
	var token string
	for range 2 {
		s, err := Start(t.Context(), env, Options{Dir: dir, TrustedIDServers: []string{"localhost:8443"}})
		if err != nil {
			t.Fatal(err)
		}
		if token == "" {
			account, err := s.Register(t.Context(), "alice", "correct horse", false)
			if err != nil || account.UserID != "@alice:dendrite.test" {
				t.Fatalf("got %q, %v", account.UserID, err)
			}
			token = account.AccessToken
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/_matrix/client/v3/account/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %s, %v; the log ends:\n%s", resp.Status, err, tail(s.Logs(), 20))
		}
		s.Stop()
		s.Stop()
		if resp, err := client.Do(req); err == nil {
			t.Errorf("got %s from a server that was stopped", resp.Status)
			_ = resp.Body.Close()
		}
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	env, dir := realEnv(t), t.TempDir()
	if _, err := Start(t.Context(), env, Options{}); err == nil {
		t.Error("got no error without a directory")
	}
	if _, err := Start(t.Context(), env, Options{Dir: dir, CAFiles: []string{filepath.Join(dir, "missing.pem")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one that tells of the missing file", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "signing.pem"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), env, Options{Dir: dir})
	if err == nil {
		s.Stop()
		t.Fatal("got a server without a key")
	}
	if !strings.Contains(err.Error(), "exited") || !strings.Contains(err.Error(), "signing.pem") {
		t.Errorf("got %v, want the end of the log", err)
	}
}

// fakeGo puts a go command on PATH that does what the script says.
func fakeGo(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestInstallBuildsOnce(t *testing.T) {
	root, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	t.Setenv("LOG", log)
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("CGO_ENABLED", "1")
	fakeGo(t, `echo "$* [$GOFLAGS] $CGO_ENABLED" >> "$LOG"; mkdir -p "$GOBIN"; touch "$GOBIN/dendrite" "$GOBIN/generate-keys"`)
	torn := filepath.Join(root, "dendrite-"+Version+"-linux-amd64", "dendrite")
	_ = os.MkdirAll(filepath.Dir(torn), 0o700)
	for range 3 {
		env, err := installBelow(t.Context(), root, t.Logf)
		if err != nil || !env.installed() {
			t.Fatalf("got %+v, %v", env, err)
		}
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := "install -trimpath " + module + "dendrite@v" + Version + " " + module + "generate-keys@v" + Version + " [] 0\n"
	if string(raw) != want {
		t.Errorf("go was called with\n%s, want once\n%s", raw, want)
	}
}

func TestInstallThatFailsIsUnavailable(t *testing.T) {
	root := t.TempDir()
	fakeGo(t, "echo no route to the proxy; exit 1")
	_, err := installBelow(t.Context(), root, t.Logf)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no route to the proxy") {
		t.Errorf("got %v", err)
	}
	if (Env{filepath.Join(root, "dendrite-"+Version)}).installed() {
		t.Error("it counts as installed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := installBelow(ctx, root, t.Logf); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want only that it was given up", err)
	}
}

func TestConfigurationTrustsWhomItIsTold(t *testing.T) {
	raw, err := json.Marshal(configuration("/dir", "s", Options{TrustedIDServers: []string{"localhost:1", "localhost:2"}}))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Global struct {
			Name    string   `json:"server_name"`
			Trusted []string `json:"trusted_third_party_id_servers"`
		} `json:"global"`
		Client struct {
			Disabled bool `json:"registration_disabled"`
		} `json:"client_api"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got.Global.Name != "dendrite.test" || !slices.Equal(got.Global.Trusted, []string{"localhost:1", "localhost:2"}) || !got.Client.Disabled {
		t.Errorf("got %+v", got)
	}
	none, _ := json.Marshal(configuration("/dir", "s", Options{OpenRegistration: true}))
	if text := string(none); !strings.Contains(text, `"trusted_third_party_id_servers":[]`) || !strings.Contains(text, `"registration_disabled":false`) {
		t.Errorf("got %s", text)
	}
}
