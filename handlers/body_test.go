// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// elsewhere is a path of the homeserver's at which there may be authentication.
const elsewhere = "/_matrix/client/r0/delete_devices"

// served serves a rig over pipes and returns how to connect to it.
func served(t *testing.T, r *rig) (dial func() net.Conn) {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.client.ServeHTTP(w, req, r.next); err != nil {
			t.Error(err)
		}
	})}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return func() net.Conn {
		client, conn := net.Pipe()
		l.conns <- conn
		return client
	}
}

// versionsOfHTTP are clients of a rig by the version of HTTP that they speak.
func versionsOfHTTP(t *testing.T, test func(t *testing.T, r *rig, client *http.Client)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, options{})
				dial := served(t, r)
				tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
					return dial(), nil
				}}
				tr.Protocols.SetHTTP1(version == "HTTP/1.1")
				tr.Protocols.SetUnencryptedHTTP2(version == "HTTP/2")
				defer tr.CloseIdleConnections()
				test(t, r, &http.Client{Transport: tr, Timeout: 10 * wire.BodyTime})
			})
		})
	}
}

// TestHalfABodyEndsWhoeverIsAsked: of a body that we look at, of one that we
// answer without a look, and on each path.
func TestHalfABodyEndsWhoeverIsAsked(t *testing.T) {
	for name, start := range map[string]string{
		"elsewhere":            "POST " + elsewhere,
		"elsewhere, PUT":       "PUT /_matrix/client/v3/rooms/!a:b/send/m.room.message/1",
		"a path of ours":       "POST /_matrix/client/r0/register",
		"suspicious":           "POST /_matrix/client/r0/register/",
		"another method":       "PUT " + registerToken,
		"preflight":            "OPTIONS /_matrix/client/r0/register",
		"a form":               "POST " + linkPath,
		"one click":            "POST " + route.RefusePath,
		"a page, which is big": "GET " + linkPath + "?help=1",
	} {
		for _, framing := range []string{"Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{"} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, options{})
					r.next = func(http.ResponseWriter, *http.Request) error {
						t.Error("half a body was passed on")
						return nil
					}
					conn := served(t, r)()
					begun := time.Now()
					if _, err := io.WriteString(conn, start+" HTTP/1.1\r\nHost: m\r\n"+framing); err != nil {
						t.Fatal(err)
					}
					_ = conn.SetReadDeadline(begun.Add(10 * wire.BodyTime))
					_, _ = io.Copy(io.Discard, conn) // until it is closed
					if took := time.Since(begun); took > wire.BodyTime+time.Second {
						t.Errorf("the connection was held for %v, want %v at most", took, wire.BodyTime)
					}
					_ = conn.Close()
				})
			})
		}
	}
}

// TestHalfABodyIsRefused, in words.
func TestHalfABodyIsRefused(t *testing.T) {
	versionsOfHTTP(t, func(t *testing.T, r *rig, client *http.Client) {
		r.next = func(http.ResponseWriter, *http.Request) error {
			t.Error("half a body was passed on")
			return nil
		}
		body, sender := io.Pipe()
		go func() { _, _ = io.WriteString(sender, "{") }()
		defer func() { _ = sender.Close() }()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://m"+elsewhere, body)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), wire.CodeNotJSON) {
			t.Errorf("got %d %s, want 400 %s", resp.StatusCode, answer, wire.CodeNotJSON)
		}
		if took := time.Since(begun); took != wire.BodyTime {
			t.Errorf("it took %v, want %v", took, wire.BodyTime)
		}
	})
}

// slowly writes a body in parts, with a rest of a second before each.
func slowly(parts, size int) io.ReadCloser {
	body, sender := io.Pipe()
	go func() {
		for range parts {
			time.Sleep(time.Second)
			if _, err := sender.Write(bytes.Repeat([]byte{'x'}, size)); err != nil {
				return
			}
		}
		_ = sender.Close()
	}()
	return body
}

// TestUploadsAreNotCutOff: what we pass on without a look, or after a look at its
// beginning, may take as long as the homeserver lets it.
func TestUploadsAreNotCutOff(t *testing.T) {
	versionsOfHTTP(t, func(t *testing.T, r *rig, client *http.Client) {
		const parts, size = 100, 8 << 10 // of which we look at nine
		for _, target := range []string{"/_matrix/client/v1/upload", "/_matrix/media/v3/upload"} {
			for _, length := range []int64{-1, parts * size} {
				var got int64
				r.next = func(w http.ResponseWriter, req *http.Request) (err error) {
					got, err = io.Copy(io.Discard, req.Body)
					if err != nil {
						t.Errorf("%s: after %d bytes: %v", target, got, err)
					}
					w.WriteHeader(http.StatusNoContent)
					return nil
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://m"+target, slowly(parts, size))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = length
				begun := time.Now()
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if want := int64(parts * size); got != want || time.Since(begun) < 3*wire.BodyTime {
					t.Errorf("%s: got %d bytes in %v, want %d", target, got, time.Since(begun), want)
				}
			}
		}
	})
}

// TestAnswersAreWaitedFor: once a body is read there is no bound of ours, nor for
// the next request of the connection.
func TestAnswersAreWaitedFor(t *testing.T) {
	versionsOfHTTP(t, func(t *testing.T, r *rig, client *http.Client) {
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			time.Sleep(2 * wire.BodyTime)
			if err := req.Context().Err(); err != nil {
				t.Errorf("the request has ended: %v", err)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Errorf("the body cannot be read: %v", err)
			}
			w.WriteHeader(http.StatusTeapot)
			return nil
		}
		for _, target := range []string{elsewhere, "/_matrix/client/r0/register", "/_matrix/media/v3/upload"} {
			resp, err := client.Post("http://m"+target, "application/json", strings.NewReader(`{"a":1}`))
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusTeapot {
				t.Errorf("%s: got %d, want the homeserver's answer", target, resp.StatusCode)
			}
			time.Sleep(wire.BodyTime)
		}
	})
}

// TestTheOperatorsOwnBoundStays: a server that has one is not given a later one,
// or none.
func TestTheOperatorsOwnBoundStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options{})
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				t.Error("the whole body was read")
			}
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadGateway)
			return nil
		}
		const own = 5 * time.Second
		client, conn := net.Pipe()
		l := &pipes{make(chan net.Conn, 1), make(chan struct{})}
		server := &http.Server{ReadTimeout: own, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_ = r.client.ServeHTTP(w, req, r.next)
		})}
		go func() { _ = server.Serve(l) }()
		defer func() { _ = server.Close() }()
		l.conns <- conn
		begun := time.Now()
		head := "POST " + elsewhere + " HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"
		var sender sync.WaitGroup
		sender.Go(func() {
			_, _ = io.WriteString(client, head+"11000\r\n"+strings.Repeat("x", 0x11000)+"\r\n1\r\n") // more than we look at
		})
		if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != own {
			t.Errorf("it took %v, want the server's %v", took, own)
		}
		_ = client.Close()
		sender.Wait()
	})
}
