// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// installOnce makes the tests of this package share one look at the cache.
var installOnce = sync.OnceValues(func() (Env, error) {
	return Install(context.Background(), func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
})

// realEnv returns the installed SDK. CI promises that it can be had.
func realEnv(t *testing.T) Env {
	t.Helper()
	env, err := installOnce()
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("NOT PROVEN HERE: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// serve starts a homeserver for one test.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv
}

// start runs the SDK for one test.
func start(t *testing.T, opts Options) *Session {
	t.Helper()
	s, err := Start(t.Context(), realEnv(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// respond answers with a body of a content type.
func respond(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may have gone
}

func respondJSON(w http.ResponseWriter, status int, body string) {
	respond(w, status, "application/json", body)
}

// fakeNode is an installation whose Node.js is a shell script.
func fakeNode(t *testing.T, script string) Env {
	t.Helper()
	dir := t.TempDir()
	node := filepath.Join(dir, "node")
	if err := os.WriteFile(node, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Env{Dir: dir, Node: node, Modules: dir}
}
