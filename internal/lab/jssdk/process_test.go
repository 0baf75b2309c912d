// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package jssdk

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKilledProcess(t *testing.T) {
	s, err := Start(t.Context(), realEnv(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	c, err := s.NewClient(t.Context(), ClientOptions{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"under way", "afterwards"} {
		if _, err := c.Call(t.Context(), "whoami"); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("%s: got %v, want ErrEnded and why", when, err)
		}
	}
	<-s.Done()
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Close: got %v, want it to say that the process was killed", err)
	}
}

func TestClose(t *testing.T) {
	entered := make(chan struct{}, 1)
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	s, err := Start(t.Context(), realEnv(t), Options{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := s.Call(context.WithoutCancel(t.Context()), "whoami")
		failed <- err
	}()
	<-entered
	for range 2 {
		if err := s.Close(); err != nil { // also if it had to be killed
			t.Error(err)
		}
	}
	if err := <-failed; !errors.Is(err, ErrEnded) {
		t.Errorf("the call under way: got %v, want ErrEnded", err)
	}
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process: got %v, want it gone", err)
	}
	if _, err := s.Call(t.Context(), "whoami"); !errors.Is(err, ErrEnded) {
		t.Errorf("after Close: got %v, want ErrEnded", err)
	}
}

func TestStopByForce(t *testing.T) {
	p, err := spawn(exec.Command("/bin/sh", "-c", "exec sleep 60"), func(answer) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(time.Millisecond); err == nil || !strings.Contains(err.Error(), "had to be killed") {
		t.Errorf("got %v, want it killed", err)
	}
}

func TestStartFails(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"exits", "echo 'the reason' >&2; exit 3", "the reason"},
		{"exits with a status", "exit 3", "exit status 3"},
		{"another version", `read line; echo '{"id":1,"result":{"node":"1.0.0","sdk":"2.0.0"}}'; cat`, "got matrix-js-sdk 2.0.0"},
		{"no greeting", `read line; echo '{"id":1,"result":7}'; cat`, "read the greeting"},
		{"speaks no JSON", "echo hello; exec sleep 60", "invalid character"},
		{"says half of it", `read line; printf '{"id":1,'`, ErrEnded.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Start(t.Context(), fakeNode(t, tc.script), Options{})
			if err == nil || s != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error with %q", s, err, tc.want)
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		if _, err := Start(t.Context(), Env{Dir: t.TempDir(), Node: "/nonexistent/node"}, Options{}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want os.ErrNotExist", err)
		}
	})
	t.Run("no such CA file", func(t *testing.T) {
		opts := Options{CAFile: filepath.Join(t.TempDir(), "ca.pem")}
		if _, err := Start(t.Context(), fakeNode(t, "cat"), opts); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want os.ErrNotExist", err)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := Start(ctx, fakeNode(t, "cat >/dev/null"), Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
	})
}

func TestCAFile(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respondJSON(w, 200, `{"user_id": "@ada:example.test"}`)
	}))
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if raw, err := start(t, Options{BaseURL: srv.URL, CAFile: ca}).Call(t.Context(), "whoami"); err != nil {
		t.Errorf("trusted: got %s, %v", raw, err)
	}
	t.Setenv("NODE_EXTRA_CA_CERTS", ca) // is not for the SDK
	_, err := start(t, Options{BaseURL: srv.URL}).Call(t.Context(), "whoami")
	var failed *SDKError
	if !errors.As(err, &failed) || failed.Name != "ConnectionError" || !strings.Contains(failed.Message, "CERT") {
		t.Errorf("not trusted: got %v, want a ConnectionError that speaks of the certificate", err)
	}
}

func TestLogsAreKeptApartAndCapped(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { respondJSON(w, 200, `{}`) })
	s := start(t, Options{BaseURL: srv.URL})
	if _, err := s.Call(t.Context(), "whoami"); err != nil {
		t.Fatal(err) // as it would be with the log among the answers
	}
	if err := s.Close(); err != nil { // the log is complete only then
		t.Fatal(err)
	}
	if logs := s.Logs(); !strings.Contains(logs, "/account/whoami") {
		t.Errorf("got log %q, want the SDK's", logs)
	}
	var log logTail
	for range 3 {
		if n, err := log.Write([]byte(strings.Repeat("x", logLimit/2) + "end")); n != logLimit/2+3 || err != nil {
			t.Errorf("Write: got %d, %v", n, err)
		}
	}
	if got := log.String(); len(got) != logLimit || !strings.HasSuffix(got, "xend") {
		t.Errorf("got %d bytes of log, want the last %d", len(got), logLimit)
	}
}
