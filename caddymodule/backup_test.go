// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// backup and restored are what the commands say.
type (
	backup struct {
		SHA256  string `json:"sha256"`
		Entries int    `json:"entries"`
	}
	restoredBackup struct {
		backup
		LeftOut int `json:"left_out"`
	}
)

// over is the Caddyfile of before with another store.
func (w *whole) over(dir string) string {
	return strings.Replace(w.loaded, "path "+w.path("store"), "path "+dir, 1)
}

// confirmed opens a session to reset a password and confirms it.
func (w *whole) confirmed(user, secret string) (body stack.Object) {
	w.t.Helper()
	address := user + "@example.test"
	w.hs.AddUser(user, oldPassword, address)
	sid := w.ask("r0", "account/password", secret, address)
	w.click(address)
	return stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(sid, secret))}
}

// TestBackupAndRestoreOfARunningServer backs up while a session is confirmed,
// uses it, and goes back in time: it must not be used again.
func TestBackupAndRestoreOfARunningServer(t *testing.T) {
	w := newWhole(t, "off")
	body := w.confirmed("bob", "secret")
	pending := w.ask("r0", "register", "pending", "carol@example.test")
	if status, err := w.adminPost("suppressions/add", stack.Object{"medium": "email", "address": "dave@example.test"}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	file := w.path("backup")
	text, err := w.command("backup", "--output", file, "--json")
	var made backup
	if jsonErr := json.Unmarshal([]byte(text), &made); err != nil || jsonErr != nil || made.Entries == 0 || len(made.SHA256) != 64 {
		t.Fatalf("got %q, %v, want a backup", text, err)
	}
	w.wantSealed(file)
	if text, err := w.command("backup", "--output", file); err == nil {
		t.Errorf("got %q, want the file not to be overwritten", text)
	}
	const reset = "/_matrix/client/r0/account/password"
	w.do("POST", reset, "", body, http.StatusOK)
	if text, err := offline("restore", "--input", file, "--store", w.path("store")); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %q, %v, want the open store to be left alone", text, err)
	}

	before := w.loaded
	w.mustLoad(w.without())
	w.loaded = before
	for _, kind := range []struct {
		name   string
		args   []string
		status int
		same   bool
	}{
		{"restored", nil, http.StatusUnauthorized, false},
		// What the documentation warns of.
		{"everything", []string{"--keep-sessions"}, http.StatusOK, true},
	} {
		text, err := offline("restore", append(kind.args, "--input", file, "--store", w.path(kind.name), "--json")...)
		var done restoredBackup
		if jsonErr := json.Unmarshal([]byte(text), &done); err != nil || jsonErr != nil || done.SHA256 != made.SHA256 || (done.LeftOut == 0) != kind.same {
			t.Fatalf("%s: got %q, %v", kind.name, text, err)
		}
		w.loaded = before
		w.mustLoad(w.over(w.path(kind.name)))
		w.do("POST", reset, "", body, kind.status)
		if got := w.ask("r0", "register", "pending", "carol@example.test"); (got == pending) != kind.same {
			t.Errorf("%s: the session that was not confirmed is the same: %v", kind.name, got == pending)
		}
		a, err := stack.NewClient(w.adminURL()).Do(t.Context(), "GET", admin.Base+"suppressions", "", nil)
		if err != nil || strings.Count(a.Body, "pseudonym") != 1 {
			t.Errorf("%s: got %s (%v), want the suppression", kind.name, a.Body, err)
		}
	}
}

// wantSealed checks that a file tells nothing to who has not the keys.
func (w *whole) wantSealed(file string) {
	w.t.Helper()
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		w.t.Errorf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	found(w.t, []string{"bob", "carol", "dave", "example.test", "pending", w.keySecret()}, file, string(raw))
}

// keySecret is the secret of the key in use, as it is written in the key file.
func (s *site) keySecret() string {
	s.t.Helper()
	var file struct {
		Keys []struct {
			Secret string `json:"secret"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(s.log("keys.json")), &file); err != nil || len(file.Keys) == 0 || len(file.Keys[0].Secret) < 40 {
		s.t.Fatalf("no key in the key file (%v)", err)
	}
	return file.Keys[0].Secret
}

// TestBackupIsRefused: what is not whole becomes neither a backup nor a store.
func TestBackupIsRefused(t *testing.T) {
	w := newWhole(t, "off")
	file := w.path("backup")
	if text, err := w.command("backup", "--output", file); err != nil || !strings.Contains(text, "SHA-256") {
		t.Fatalf("got %q, %v", text, err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw[:len(raw)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"cut":     {"--input", file, "--store", w.path("new")},
		"none":    {"--input", w.path("keys.json"), "--store", w.path("new")},
		"no file": {"--input", w.path("nothing"), "--store", w.path("new")},
		"no name": {"--store", w.path("new")},
	} {
		if text, err := offline("restore", args...); err == nil {
			t.Errorf("%s: got %q, want an error", name, text)
		}
	}
	if _, err := os.Stat(w.path("new")); !os.IsNotExist(err) {
		t.Errorf("there is a store (%v)", err)
	}
	for name, args := range map[string][]string{"no name": {}, "no folder": {"--output", w.path("no/where")}} {
		if text, err := w.command("backup", args...); err == nil {
			t.Errorf("%s: got %q, want an error", name, text)
		}
	}
	w.mustLoad(w.without())
	if text, err := w.command("backup", "--output", w.path("late")); err == nil {
		t.Errorf("without the app: got %q, want an error", text)
	}
	if _, err := os.Stat(w.path("late")); !os.IsNotExist(err) {
		t.Errorf("a file was made of an error (%v)", err)
	}
}
