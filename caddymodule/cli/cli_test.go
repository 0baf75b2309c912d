// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
)

// shortDir is a folder whose name leaves room for that of a socket: there may be
// 104 bytes in all.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "door-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestCommandsAreRegistered(t *testing.T) {
	seen := map[string]bool{}
	for _, make := range commands {
		cmd := make()
		name, _, _ := strings.Cut(cmd.Use, " ")
		if cmd.Short == "" || cmd.Long == "" || cmd.RunE == nil || seen[name] {
			t.Errorf("%s: got no description, nothing to run, or a second one of its name", name)
		}
		seen[name] = true
	}
}

// TestRenderShowsPages: every page in every language, those of a brand beside them.
func TestRenderShowsPages(t *testing.T) {
	own, folder := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(own, "brands", "blue", "en"), 0o700); err != nil {
		t.Fatal(err)
	}
	words := "{{define \"page done title\"}}Blue is done{{end}}\n"
	if err := os.WriteFile(filepath.Join(own, "brands", "blue", "en", "words.txt"), []byte(words), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := loadTemplates(own, "matrix.example.org")
	if err != nil {
		t.Fatal(err)
	}
	written, err := writeAll(set, folder, "matrix.example.org")
	if err != nil {
		t.Fatal(err)
	}
	each := 0
	for _, state := range pages.States {
		each += max(1, len(pages.Purposes(state))) + 1 // the one of a text message
	}
	if want := 2 * len(written.Languages) * each; len(written.Pages) != want {
		t.Errorf("got %d pages, want %d", len(written.Pages), want)
	}
	for name, want := range map[string]string{
		"en/pages/confirm-register.html": "Create your account?", "en/pages/confirm-password.html": "Reset your password?",
		"de/pages/busy.html": "in 5 Minuten", "ar/pages/done.html": `dir="rtl"`, "en/pages/confirm-sms.html": "Phone number: ",
		"en/pages/done.html": "<h1>Confirmed</h1>", "brands/blue/en/pages/done.html": "<h1>Blue is done</h1>",
	} {
		if raw, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name))); err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s: got %v, %.200s, want %q in it", name, err, raw, want)
		}
	}
}

// TestCommandsSayWhoMayAsk: a socket that is there, and not ours.
func TestCommandsSayWhoMayAsk(t *testing.T) {
	_, err := remote{"unix/" + filepath.Join(t.TempDir(), "none.sock")}.ask("GET", admin.Base+"status", nil)
	if err == nil || !strings.Contains(err.Error(), "are you its user") {
		t.Errorf("got %v, want what may be wrong", err)
	}
}

// TestAdminAddress: what comes first, where several things say where it is.
func TestAdminAddress(t *testing.T) {
	dir := shortDir(t)
	socket, file, none := filepath.Join(dir, "s"), filepath.Join(dir, "f"), filepath.Join(dir, "n")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "caddy.json")
	if err := os.WriteFile(config, []byte(`{"admin":{"listen":"localhost:1"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CADDY_ADMIN", "") // it is put back at the end
	for _, c := range []struct {
		address, config string
		packaged        bool
		socket, want    string
	}{
		{"localhost:2", config, true, socket, "localhost:2"},
		{"", config, true, socket, "localhost:1"},
		{"", "", true, socket, caddy.DefaultAdminListen},
		{"", "", false, socket, "unix/" + socket},
		{"", "", false, file, caddy.DefaultAdminListen},
		{"", "", false, none, caddy.DefaultAdminListen},
	} {
		if err := os.Unsetenv("CADDY_ADMIN"); err != nil {
			t.Fatal(err)
		}
		if c.packaged {
			t.Setenv("CADDY_ADMIN", caddy.DefaultAdminListen)
		}
		got, err := adminAddress(c.address, c.config, "", c.socket)
		if err != nil || got != c.want {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
	if _, err := adminAddress("", none, "", none); err == nil {
		t.Error("got no error for a configuration that is not there")
	}
}
