// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bufio"
	"context"
	"crypto/sha1"
	"errors"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The message of the tests. Number and text must never be seen in an error.
const (
	number  = "447700900123"
	secret  = "the 5ecret c0de 123456"
	receipt = "https://matrix.example.org/_threepid/feedback/sms/one?tag=4af1c0ffee"
)

func message() Message {
	return Message{ID: "m-1", To: number, From: "Example", Text: secret, Segments: 1, ReceiptURL: receipt}
}

// seen is a request as a gateway got it.
type seen struct {
	method, path, query string
	header              http.Header
	body                string
}

// double is a gateway that answers as it is told, and remembers what it was
// asked.
type double struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

func startDouble(t *testing.T, answer http.HandlerFunc) *double {
	t.Helper()
	d := &double{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		d.requests = append(d.requests, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body)})
		d.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *double) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.requests)
}

// only returns the one request that was made.
func (d *double) only(t *testing.T) seen {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.requests) != 1 {
		t.Fatalf("got %d requests, want 1", len(d.requests))
	}
	return d.requests[0]
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func newHTTP(t *testing.T, cfg HTTPConfig) *HTTP {
	t.Helper()
	h, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// refusedBy sends a message that must not be taken, and returns why.
func refusedBy(t *testing.T, g Gateway, m Message) *SendError {
	t.Helper()
	_, err := g.Send(t.Context(), m)
	failed, ok := errors.AsType[*SendError](err)
	if !ok {
		t.Fatalf("got %v, want a SendError", err)
	}
	wantDiscreet(t, err)
	return failed
}

// wantDiscreet looks for what must not be in an error.
func wantDiscreet(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, private := range []string{number, "5ecret", "123456", "4af1c0ffee", "pa55word", "gossip"} {
			if strings.Contains(e.Error(), private) {
				t.Errorf("%q tells %q", e.Error(), private)
			}
		}
	}
}

// listen speaks for itself on each connection: for what net/http does not do.
func listen(t *testing.T, talk func(conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			talks.Go(func() {
				defer stop()
				defer func() { _ = conn.Close() }()
				talk(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		talks.Wait()
	})
	return "http://" + l.Addr().String()
}

// readRequest reads one whole request.
func readRequest(in *bufio.Reader) error {
	r, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

// quiet is for servers that are meant to complain.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// sha1New is what Twilio signs with.
func sha1New() hash.Hash { return sha1.New() }
