// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// listen opens a free port of this machine until the end of the test.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// closedPort is an address where nothing listens. A port that was free a moment
// ago would not do: another process may have it by now.
const closedPort = "127.0.0.1:1"

// to leads every name to one address.
func to(address string) dialFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// failing dials that this machine cannot be made to do for real.
func noSuchName(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "matrix.example.org", IsNotFound: true}}
}

func noRoute(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
}

// serveRaw hands every connection to a function and closes it after.
func serveRaw(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l := listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			wg.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(wg.Wait) // runs before the listener is closed, so:
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// silence reads and never answers.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// slam ends a connection at once.
func slam(net.Conn) {}

// serveHTTP serves with TLS, or without if there is no configuration.
func serveHTTP(t *testing.T, config *tls.Config, h http.Handler) string {
	t.Helper()
	l := listen(t)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends when the server is closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

// html answers like a web server that has never heard of Matrix.
func html(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome to nginx!</title>")
	})
}

// jsonAnswer answers always the same.
func jsonAnswer(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// tlsServer is a server's end with a certificate.
func tlsServer(c net.Conn, cert tls.Certificate) *tls.Conn {
	return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
}
