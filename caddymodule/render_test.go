// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRenderWritesEveryMail(t *testing.T) {
	folder := t.TempDir()
	text, err := offline("render", "--output", folder)
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
	if text, err := offline("render", "--output", folder, "--templates", bad); err == nil || !strings.Contains(err.Error(), "words.txt:1") {
		t.Errorf("got %q, %v, want file and line of the fault", text, err)
	}
}

// TestRenderRefusesFoldersThatAreNotThere: what is built in would look as if it were
// one's own, and a slip in a path would become a folder.
func TestRenderRefusesFoldersThatAreNotThere(t *testing.T) {
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
		text, err := offline("render", c.args...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "no")); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}
