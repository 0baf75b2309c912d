// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBuild builds the real thing and asks it what it consists of. With the
// build cache of `make build` it takes as long as linking does.
func TestBuild(t *testing.T) {
	program := filepath.Join(t.TempDir(), "caddy")
	var log bytes.Buffer
	if err := run(t.Context(), []string{"-config", filepath.Join(repository, "xcaddy.json"), "-o", program}, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	modules := strings.Split(caddy(t, program, "list-modules", "--versions"), "\n")
	for _, want := range []string{
		"threepid",
		"http.handlers.threepid",
		"http.handlers.threepid_identity",
		"threepid.stores.badger",
		"threepid.mailers.smtp",
		"threepid.mailers.file",
		"threepid.sms.http",
		"threepid.sms.file",
		"admin.api.threepid",
	} {
		if !slices.ContainsFunc(modules, func(line string) bool { return firstWord(line) == want }) {
			t.Errorf("list-modules does not show %s", want)
		}
	}
	if got := caddy(t, program, "threepid", "--help"); !strings.Contains(got, "doctor") {
		t.Errorf("caddy threepid has no commands: %s", got)
	}
	if got, want := caddy(t, program, "version"), committed(t).CaddyVersion; firstWord(got) != want {
		t.Errorf("caddy version: got %q, want %s", got, want)
	}
}

// caddy runs the built program away from the user's own Caddy.
func caddy(t *testing.T, program string, args ...string) string {
	t.Helper()
	home := t.TempDir()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("caddy %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func firstWord(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return word
}

// TestBuildReportsFailure builds a plugin that does not compile: the error has
// to be the compiler's, and no program may be left behind.
func TestBuildReportsFailure(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	get := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// It requires what this module requires, so that nothing is downloaded.
	put("go.mod", strings.Replace(get("go.mod"), "module "+goList(t), "module example.org/broken", 1))
	put("go.sum", get("go.sum"))
	put("broken.go", "package broken\n\nfunc f() { undefined() }\n")
	c := config{
		CaddyVersion: committed(t).CaddyVersion,
		Plugins:      []plugin{{ModulePath: "example.org/broken"}},
		Replacements: []replacement{{Old: "example.org/broken", New: dir}},
	}
	program := filepath.Join(dir, "caddy")
	var log bytes.Buffer
	err := build(t.Context(), c, program, &log)
	if err == nil || !strings.Contains(err.Error(), "run go build") || !strings.Contains(log.String(), "undefined: undefined") {
		t.Errorf("got %v, %s", err, log.String())
	}
	if _, err := os.Stat(program); err == nil {
		t.Error("a failed build left a program behind")
	}
}

// TestBuildRefusesOtherCaddy asks for an older Caddy than the plugin needs. The
// go command would quietly build the newer one.
func TestBuildRefusesOtherCaddy(t *testing.T) {
	c := committed(t)
	c.CaddyVersion = "v2.10.1"
	var log bytes.Buffer
	err := build(t.Context(), c, filepath.Join(t.TempDir(), "caddy"), &log)
	if want := "a plugin requires Caddy " + committed(t).CaddyVersion; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q\n%s", err, want, log.String())
	}
}

func TestBuildStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := build(ctx, committed(t), filepath.Join(t.TempDir(), "caddy"), new(bytes.Buffer)); err == nil {
		t.Error("a cancelled build succeeded")
	}
}
