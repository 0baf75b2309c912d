// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
)

func TestRenderWritesEveryMail(t *testing.T) {
	s := newSite(t, "")
	folder := t.TempDir()
	cmd := newRenderCommand()
	remoteFlags(cmd) // the helper names the admin endpoint
	text, err := s.command(cmd, "--output", folder)
	if err != nil || !strings.Contains(text, "17 languages") {
		t.Fatalf("got %q, %v", text, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "*.html"))
	if err != nil || len(files) != 17*14 {
		t.Errorf("got %d HTML files (%v), want one for each language and purpose with each proof, one without, and one for each notice", len(files), err)
	}
	bad := t.TempDir()
	if err := os.MkdirAll(filepath.Join(bad, "en"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bad, "en", "words.txt"), []byte("{{define \"no such key\"}}x{{end}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = newRenderCommand()
	remoteFlags(cmd)
	if text, err := s.command(cmd, "--output", folder, "--templates", bad); err == nil || !strings.Contains(err.Error(), "words.txt:1") {
		t.Errorf("got %q, %v, want file and line of the fault", text, err)
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
	for _, state := range web.States {
		each += max(1, len(web.Purposes(state))) + 1 // the one of a text message
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

// TestRenderRefusesFoldersThatAreNotThere: what is built in would look as if it were
// one's own, and a slip in a path would become a folder.
func TestRenderRefusesFoldersThatAreNotThere(t *testing.T) {
	s := newSite(t, "")
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string // empty: it works
	}{
		"templates":        {[]string{"--output", dir, "--templates", filepath.Join(dir, "nowhere")}, "nowhere does not exist"},
		"templates a file": {[]string{"--output", dir, "--templates", file}, "file is no folder"},
		"output":           {[]string{"--output", filepath.Join(dir, "no", "such", "place")}, filepath.Join(dir, "no", "such") + " does not exist"},
		"output a file":    {[]string{"--output", file}, "file is no folder"},
		"below a file":     {[]string{"--output", filepath.Join(file, "x")}, "file"},
		"no output":        {nil, "--output"},
		"a new output":     {[]string{"--output", filepath.Join(dir, "new")}, ""},
		"the same again":   {[]string{"--output", dir}, ""},
	} {
		cmd := newRenderCommand()
		remoteFlags(cmd)
		text, err := s.command(cmd, c.args...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "no")); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}
