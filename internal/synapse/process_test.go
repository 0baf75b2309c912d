// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package synapse

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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

func TestStartFailsWithTheLog(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"exits", "echo 'first words'; echo 'the reason' >&2; exit 3", "the reason"},
		{"listens and does not answer", "echo 'SynapseSite starting on 1'", "connect"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Start(t.Context(), fakeEnv(t, tc.script), Options{Dir: t.TempDir()})
			if err == nil || s != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error with %q", s, err, tc.want)
			}
		})
	}
	t.Run("says how it ended", func(t *testing.T) {
		_, err := Start(t.Context(), fakeEnv(t, "exit 3"), Options{Dir: t.TempDir()})
		if !errors.Is(err, errExited) || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("got error %v, want errExited with status 3", err)
		}
	})
	t.Run("no such Python", func(t *testing.T) {
		_, err := Start(t.Context(), Env{Python: filepath.Join(t.TempDir(), "python")}, Options{Dir: t.TempDir()})
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got error %v, want os.ErrNotExist", err)
		}
	})
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	ready := filepath.Join(dir, "fifo")
	env := fakeEnv(t, "echo begun >"+ready+"; exec sleep 60")
	if err := exec.CommandContext(ctx, "mkfifo", ready).Run(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer cancel()
		_, _ = os.ReadFile(ready) // returns once the script is under way
	}()
	begun := time.Now()
	_, err := Start(ctx, env, Options{Dir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the process was waited for: %s", took)
	}
}

func TestStopByForce(t *testing.T) {
	dir := t.TempDir()
	sink, err := openSink(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	// The grandchild holds the output open, as one left behind would.
	script := "trap '' TERM\n(trap '' TERM; sleep 60) &\necho SynapseSite starting on 7\nwhile :; do sleep 60; done"
	p, err := spawn(exec.Command("/bin/sh", "-c", script), sink)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := <-sink.listening, 7; got != want {
		t.Errorf("port: got %d, want %d", got, want)
	}
	s := &Server{process: p, logPath: filepath.Join(dir, "log")}
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took < stopLimit || took > stopLimit+10*time.Second {
		t.Errorf("took %s, want the limit of %s and no more", took, stopLimit)
	}
	s.Stop() // does nothing
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
		{"a line", []string{"2026 INFO twisted: SynapseSite starting on 38483\n"}, 38483},
		{"in pieces", []string{"noise\nx SynapseSite star", "ting on 12", "34", "\nmore\n"}, 1234},
		{"not ended", []string{"SynapseSite starting on 12"}, 0},
		{"other site", []string{"Site starting on 99 for you\nPort 99\n"}, 0},
		{"the first only", []string{"SynapseSite starting on 1\nSynapseSite starting on 2\n"}, 1},
		{"no number", []string{"SynapseSite starting on 99999999999999999999\n"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte("SynapseSite starting on 5\n"), 0o600); err != nil {
				t.Fatal(err) // of an earlier run in the same directory
			}
			sink, err := openSink(path)
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
			s := &Server{logPath: path}
			if got, want := s.Logs(), "SynapseSite starting on 5\n"+strings.Join(tc.writes, ""); got != want {
				t.Errorf("Logs: got %q, want %q", got, want)
			}
		})
	}
	if got := (&Server{logPath: filepath.Join(t.TempDir(), "none")}).Logs(); !strings.HasPrefix(got, "(no log: ") {
		t.Errorf("Logs of no file: got %q", got)
	}
}

func TestStopFreesThePort(t *testing.T) {
	s := start(t, Options{})
	select {
	case <-s.Done():
		t.Fatal("Done before Stop")
	default:
	}
	begun := time.Now()
	s.Stop()
	t.Logf("stopped after %s", time.Since(begun).Round(time.Millisecond))
	if took := time.Since(begun); took >= stopLimit {
		t.Errorf("took %s: Synapse had to be killed", took)
	}
	<-s.Done()
	l, err := net.Listen("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
	if _, err := s.Register(t.Context(), "ada", "a password", false); err == nil {
		t.Error("Register after Stop: got no error")
	}
}

func TestFixedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), realEnv(t), Options{Dir: t.TempDir(), Port: port})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("port taken: got error %v, want one with the reason from the log", err)
	}
	l.Close()
	s := start(t, Options{Port: port})
	if got, want := s.URL(), "http://"+l.Addr().String(); got != want {
		t.Errorf("URL: got %s, want %s", got, want)
	}
}

func TestRegisterRelaysRefusal(t *testing.T) {
	s := start(t, Options{})
	s.secret = "another secret"
	_, err := s.Register(t.Context(), "ada", "a password", false)
	if err == nil || !strings.Contains(err.Error(), "403 M_") {
		t.Errorf("wrong secret: got error %v, want 403", err)
	}
	if strings.Contains(err.Error(), "a password") {
		t.Errorf("the error tells the password: %v", err)
	}
}
