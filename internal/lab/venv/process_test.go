// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package venv

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// listening is what the servers of these tests say.
var listening = regexp.MustCompile(`Site starting on (\d+)$`)

// fakeEnv is an installation whose Python is a shell script.
func fakeEnv(t *testing.T, script string) Env {
	t.Helper()
	dir := t.TempDir()
	python := filepath.Join(dir, "python")
	if err := os.WriteFile(python, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Env{Dir: dir, Python: python}
}

func TestStopByForce(t *testing.T) {
	dir := t.TempDir()
	sink, err := openSink(filepath.Join(dir, "log"), listening)
	if err != nil {
		t.Fatal(err)
	}
	// The grandchild holds the output open, as one left behind would.
	script := "trap '' TERM\n(trap '' TERM; sleep 60) &\necho Site starting on 7\nwhile :; do sleep 60; done"
	p, err := spawn(exec.Command("/bin/sh", "-c", script), filepath.Join(dir, "log"), sink)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Port(t.Context()); got != 7 || err != nil {
		t.Errorf("port: got %d, %v; want 7", got, err)
	}
	p.limit = time.Millisecond
	p.Stop()
	if !p.Forced() {
		t.Error("a process that does not listen has left by itself")
	}
	p.Stop() // does nothing
	if _, err := sink.file.Write(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("log: got error %v, want it closed", err)
	}
}

func TestSinkFindsThePort(t *testing.T) {
	for _, tc := range []struct {
		name   string
		writes []string
		want   int // 0 for none
	}{
		{"a line", []string{"2026 INFO twisted: Site starting on 38483\n"}, 38483},
		{"in pieces", []string{"noise\nx Site star", "ting on 12", "34", "\nmore\n"}, 1234},
		{"not ended", []string{"Site starting on 12"}, 0},
		{"other line", []string{"Site starting on 99 for you\nPort 99\n"}, 0},
		{"the first only", []string{"Site starting on 1\nSite starting on 2\n"}, 1},
		{"no number", []string{"Site starting on 99999999999999999999\n"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte("Site starting on 5\n"), 0o600); err != nil {
				t.Fatal(err) // of an earlier run in the same directory
			}
			sink, err := openSink(path, listening)
			if err != nil {
				t.Fatal(err)
			}
			defer sink.file.Close()
			for _, text := range tc.writes {
				if n, err := sink.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("Write: got %d, %v", n, err)
				}
			}
			got := 0
			select {
			case got = <-sink.listening:
			default:
			}
			if got != tc.want {
				t.Errorf("got port %d, want %d", got, tc.want)
			}
			s := &Process{logPath: path}
			if got, want := s.Logs(), "Site starting on 5\n"+strings.Join(tc.writes, ""); got != want {
				t.Errorf("Logs: got %q, want %q", got, want)
			}
		})
	}
	if got := (&Process{logPath: filepath.Join(t.TempDir(), "none")}).Logs(); !strings.HasPrefix(got, "(no log: ") {
		t.Errorf("Logs of no file: got %q", got)
	}
}

// TestStart runs a shell script as a server and reads what it was given.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.pem"), filepath.Join(dir, "second.pem")
	const one, two = "-----BEGIN CERTIFICATE-----\nb25l", "-----BEGIN CERTIFICATE-----\ndHdv\n\n"
	env := fakeEnv(t, `echo "with $1 in $(pwd): $PYTHONPATH, $SSL_CERT_DIR, $SSL_CERT_FILE, $MORE"
cat "$SSL_CERT_FILE"; echo "Site starting on 4711"; exec sleep 60`)
	c := Command{
		Args: []string{"one"}, Dir: dir, Env: []string{"MORE=less"}, CAFiles: []string{first, second},
		Log: filepath.Join(dir, "log"), Listening: listening,
	}
	if _, err := env.Start(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no CA file: got error %v, want os.ErrNotExist", err)
	}
	for name, content := range map[string]string{first: one, second: "not PEM"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := env.Start(c); err == nil || !strings.Contains(err.Error(), "second.pem holds no certificate") {
		t.Errorf("no certificate in it: got error %v", err)
	}
	if err := os.WriteFile(second, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := env.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if port, err := p.Port(t.Context()); port != 4711 || err != nil {
		t.Errorf("got port %d, %v; want 4711", port, err)
	}
	roots := filepath.Join(dir, "trusted-roots.pem")
	want := "with one in " + dir + ": " + env.shims() + ", " + filepath.Join(dir, "no-roots") + ", " + roots +
		", less\n-----BEGIN CERTIFICATE-----\nb25l\n-----BEGIN CERTIFICATE-----\ndHdv\nSite starting on 4711\n"
	if got := p.Logs(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	p.Stop()
	if p.Forced() {
		t.Error("a process that listens was killed")
	}
	<-p.Done()
	if _, err := p.Port(t.Context()); !errors.Is(err, ErrExited) {
		t.Errorf("port of a stopped process: got error %v, want ErrExited", err)
	}
}

func TestPortGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	p, err := fakeEnv(t, "exec sleep 60").Start(Command{Dir: dir, Log: filepath.Join(dir, "log"), Listening: listening})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Port(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if _, err := fakeEnv(t, "").Start(Command{Log: filepath.Join(dir, "no", "log"), Listening: listening}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no place for the log: got error %v, want os.ErrNotExist", err)
	}
}
