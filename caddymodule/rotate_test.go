// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// adminPost posts to one of our admin endpoints and decodes the answer, if it
// is 200.
func (s *site) adminPost(path string, body, into any) (status int, err error) {
	a, err := s.operator().Do(s.t.Context(), "POST", admin.Base+path, "", body)
	if err == nil && a.Status == http.StatusOK && into != nil {
		err = json.Unmarshal([]byte(a.Body), into)
	}
	return a.Status, err
}

// keys asks for the keys of the running server.
func (s *site) keys() (answer admin.Keys) {
	s.t.Helper()
	if status, err := s.adminPost("keys/prune", stack.Object{}, &answer); err != nil || status != http.StatusOK {
		s.t.Fatalf("got %d, %v for the keys", status, err)
	}
	return answer
}

// ids are those of the keys, the one in use first.
func ids(k admin.Keys) (ids []int) {
	for _, key := range k.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// TestRotateKeysOnARunningServer: whoever is in the middle of something notices
// nothing, and what is new is under the new key.
func TestRotateKeysOnARunningServer(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		rotate := func() {
			t.Helper()
			text, err := w.command("rotate-keys")
			if err != nil || !strings.Contains(text, "in use") {
				t.Fatalf("got %q, %v, want a new key", text, err)
			}
		}
		w.hs.AddUser("bob", oldPassword, "bob@example.test")
		sid := w.ask("r0", "account/password", "secret", "bob@example.test")
		body := stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(sid, "secret"))}
		rotate()
		if again := w.ask("r0", "account/password", "secret", "bob@example.test"); again != sid {
			t.Errorf("got another session for the same attempt")
		}
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusUnauthorized)
		rotate()
		w.click("bob@example.test")
		rotate()
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusOK)
		rotate()
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusUnauthorized)
		w.login("bob", newPassword, http.StatusOK)
		tokens := 0
		for _, m := range w.inbox.Messages() {
			if _, ok := m.Link(); ok { // and not the notice of the reset
				tokens++
			}
		}
		if tokens != 1 {
			t.Errorf("got %d mails with a token, want 1", tokens)
		}
		info, err := os.Stat(w.path("keys.json"))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("got mode %v (%v) of the key file, want 0600", info.Mode(), err)
		}
		if got, want := ids(w.keys()), []int{5, 4, 3, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("got keys %v, want %v", got, want)
		}
	})
}

// TestRotateKeysRefuses: a file that is full, and one that is not that of the
// running server.
func TestRotateKeysRefuses(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	for range keyring.MaxKeys - 1 {
		if status, err := s.adminPost("keys/rotate", stack.Object{}, nil); err != nil || status != http.StatusOK {
			t.Fatalf("got %d, %v", status, err)
		}
	}
	if text, err := s.command("rotate-keys"); err == nil {
		t.Errorf("got %q, want no room for another key", text)
	}
	raw, err := os.ReadFile(s.path("keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path("keys.json")); err != nil {
		t.Fatal(err)
	}
	newKeyFile(t, s.path("keys.json"))
	if status, err := s.adminPost("keys/rotate", stack.Object{}, nil); err != nil || status != http.StatusConflict {
		t.Errorf("with the file of another server: got %d, %v, want 409", status, err)
	}
	if after, err := keyring.Load(s.path("keys.json")); err != nil || len(after.Keys()) != 1 {
		t.Errorf("the file of another server was changed (%v)", err)
	}
	if err := os.WriteFile(s.path("keys.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReloadPicksUpARotation: another process has rotated the file.
func TestReloadPicksUpARotation(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	sid := s.open("secret", "alice@example.test")
	before, err := os.ReadFile(s.path("keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Rotate(s.path("keys.json"), time.Now()); err != nil {
		t.Fatal(err)
	}
	s.mustLoad(s.simple())
	if got, want := ids(s.keys()), []int{2, 1}; !slices.Equal(got, want) {
		t.Errorf("got keys %v, want %v", got, want)
	}
	if got := s.open("secret", "alice@example.test"); got != sid {
		t.Error("got another session after the rotation")
	}
	// With the old file again, what was sealed since would be lost.
	if err := os.WriteFile(s.path("keys.json"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.load(s.simple()); err == nil || !strings.Contains(err.Error(), instance.ErrRestart.Error()) {
		t.Errorf("got %v, want %v", err, instance.ErrRestart)
	}
}

// TestPruneKeys: a key is dropped when it was replaced long ago, and what it had
// sealed has moved.
func TestPruneKeys(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	if status, err := s.adminPost("suppressions/add", stack.Object{"medium": "email", "address": "bob@example.test"}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	sid := s.open("secret", "alice@example.test")
	s.mustLoad(s.without())
	rotated := func(ago time.Duration) {
		t.Helper()
		if _, err := keyring.Rotate(s.path("keys.json"), time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
		s.mustLoad(s.simple())
	}
	rotated(time.Hour)
	keys := s.keys()
	if !slices.Equal(ids(keys), []int{2, 1}) || keys.Keys[1].NeededUntil == nil || keys.Keys[1].Records == 0 {
		t.Errorf("got %+v, want the former key to be needed, for the session", keys)
	}
	if got := s.open("secret", "alice@example.test"); got != sid {
		t.Error("got another session")
	}
	// Long ago, but there is still something: a clock may have been set.
	s.mustLoad(s.without())
	raw, err := os.ReadFile(s.path("keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	year := time.Now().UTC().Format("2006-")
	if err := os.WriteFile(s.path("keys.json"), []byte(strings.ReplaceAll(string(raw), year, "2000-")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustLoad(s.simple())
	if keys := s.keys(); len(keys.Dropped) != 0 || keys.Keys[1].Records == 0 {
		t.Errorf("got %+v, want the key to stay for its session", keys)
	}
	if status, err := s.adminPost("addresses/forget", stack.Object{"medium": "email", "address": "alice@example.test"}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	text, err := s.command("rotate-keys", "--prune")
	if err != nil || !strings.Contains(text, "Key 1 was dropped.") {
		t.Errorf("got %q, %v, want key 1 dropped", text, err)
	}
	if ring, err := keyring.Load(s.path("keys.json")); err != nil || len(ring.Keys()) != 1 {
		t.Errorf("the file has still both keys (%v)", err)
	}
	a, err := s.operator().Do(t.Context(), "GET", admin.Base+"suppressions", "", nil)
	if err != nil || strings.Count(a.Body, "pseudonym") != 1 {
		t.Errorf("got %s (%v), want the suppression of before, under the new key", a.Body, err)
	}
}

// TestKillDuringRotation kills the process while it rotates its keys and people
// open sessions, several times over. No session that a client was told of is
// lost, nor is the key file.
func TestKillDuringRotation(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	sids := map[int]string{}
	next := 0
	ask := func() {
		t.Helper()
		sid, err := askAs(t.Context(), s.url(), next)
		if err != nil {
			t.Fatal(err)
		}
		sids[next] = sid
		next++
	}
	const rounds = 3
	for round := range rounds {
		running := s.startChild(s.simple())
		for i, sid := range sids {
			if got, err := askAs(t.Context(), s.url(), i); err != nil || got != sid {
				t.Errorf("round %d: session %d is %q (%v), want %q", round, i, got, err, sid)
			}
		}
		ask()
		before, err := os.ReadFile(s.path("keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		rotated := make(chan struct{})
		go func() {
			defer close(rotated)
			_, _ = s.adminPost("keys/rotate", stack.Object{}, nil) // it is killed
		}()
		s.await("the new file", func() bool {
			after, err := os.ReadFile(s.path("keys.json"))
			return err == nil && string(after) != string(before)
		})
		if round%2 == 0 { // else before anything is sealed by the new key
			ask()
		}
		running.kill()
		<-rotated
		ring, err := keyring.Load(s.path("keys.json"))
		if err != nil || len(ring.Keys()) != round+2 {
			t.Fatalf("round %d: got %d keys (%v), want %d", round, len(ring.Keys()), err, round+2)
		}
	}
	s.startChild(s.simple())
	for i, sid := range sids {
		if got, err := askAs(t.Context(), s.url(), i); err != nil || got != sid {
			t.Errorf("session %d is %q (%v), want %q", i, got, err, sid)
		}
	}
}
