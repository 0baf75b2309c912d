// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package synapse

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// fakeEnv is an installation whose Python is a shell script.
func fakeEnv(t *testing.T, script string) Env {
	t.Helper()
	dir := t.TempDir()
	python := filepath.Join(dir, "python")
	if err := os.WriteFile(python, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Env{venv.Env{Dir: dir, Python: python}}
}

func TestStartFailsWithTheLog(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"exits", "echo 'first words'; echo 'the reason' >&2; exit 3", "the reason"},
		{"listens and does not answer", "echo 'SynapseSite starting on 1'; exec sleep 60", "connect"},
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
		if !errors.Is(err, venv.ErrExited) || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("got error %v, want venv.ErrExited with status 3", err)
		}
	})
	t.Run("no such Python", func(t *testing.T) {
		_, err := Start(t.Context(), Env{venv.Env{Python: filepath.Join(t.TempDir(), "python")}}, Options{Dir: t.TempDir()})
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
	// Had it waited for the process, this would be venv.ErrExited.
	if _, err := Start(ctx, env, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
}

func TestStopFreesThePort(t *testing.T) {
	s := start(t, Options{})
	select {
	case <-s.Done():
		t.Fatal("Done before Stop")
	default:
	}
	s.Stop()
	if s.process.Forced() {
		t.Error("Synapse had to be killed")
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
	s := *sharedPlain(t)
	s.secret = "another secret"
	_, err := s.Register(t.Context(), rand.Text(), "a password", false)
	if err == nil || !strings.Contains(err.Error(), "403 M_") {
		t.Errorf("wrong secret: got error %v, want 403", err)
	}
	if strings.Contains(err.Error(), "a password") {
		t.Errorf("the error tells the password: %v", err)
	}
}
