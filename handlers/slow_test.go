// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// pipes is a listener whose connections are pipes, so that their time is that
// of the bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// overPipes serves a rig and returns a connection to it.
func overPipes(t *testing.T, r *rig) net.Conn {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.client.ServeHTTP(w, req, r.next); err != nil {
			t.Error(err)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	client, conn := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	l.conns <- conn
	return client
}

// TestSlowBodyEnds: a body that never ends does not keep us for ever.
func TestSlowBodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := overPipes(t, newRig(t, options{}))
		start := time.Now()
		if _, err := io.WriteString(conn, "POST /_matrix/client/r0/register HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		var sender sync.WaitGroup
		sender.Go(func() {
			for { // a byte every five seconds, as long as anybody listens
				time.Sleep(5 * time.Second)
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), wire.CodeNotJSON) {
			t.Errorf("got %d %s, want 400 %s", resp.StatusCode, body, wire.CodeNotJSON)
		}
		if took := time.Since(start); took != wire.BodyTime {
			t.Errorf("it took %v, want %v", took, wire.BodyTime)
		}
		_ = conn.Close()
		sender.Wait()
	})
}

// TestSlowHomeserverIsWaitedFor: that bound is for the body, not for the answer.
func TestSlowHomeserverIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options{})
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			time.Sleep(2 * wire.BodyTime)
			if err := req.Context().Err(); err != nil {
				t.Errorf("the request has ended: %v", err)
			}
			w.WriteHeader(http.StatusTeapot)
			return nil
		}
		conn := overPipes(t, r)
		go func() {
			_, _ = io.WriteString(conn, "POST /_matrix/client/r0/register HTTP/1.1\r\nHost: m\r\nContent-Length: 2\r\n\r\n{}")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusTeapot {
			t.Errorf("got %d, want the homeserver's answer", resp.StatusCode)
		}
		_ = conn.Close()
	})
}
