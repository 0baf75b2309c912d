// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections never leave the process, which is what
// the clock of a synctest bubble needs.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// silence is a dial function whose peers accept and say nothing.
func silence(t *testing.T) DialFunc {
	return func(context.Context, netip.AddrPort) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = server.Close() })
		go func() { // takes what it is sent
			for buf := make([]byte, 4096); ; {
				if _, err := server.Read(buf); err != nil {
					return
				}
			}
		}()
		return client, nil
	}
}

// nobody is a dial function whose peers never accept.
func nobody(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// checkDeadline fetches from a peer that holds the request up, and wants it to
// give up after just that long.
func checkDeadline(t *testing.T, opts Options, want time.Duration) {
	t.Helper()
	start := time.Now()
	_, _, err := get(NewClient(opts), mustName(t, host).URL("/"))
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) && (!errors.As(err, &timeout) || !timeout.Timeout()) {
		t.Errorf("got %v, want a timeout", err)
	}
	if got := time.Since(start); got != want {
		t.Errorf("gave up after %v, want %v", got, want)
	}
}

func TestDeadlineOfLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := resolverFunc(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		checkDeadline(t, Options{Resolver: stuck, Dial: refuse}, 5*time.Second)
	})
}

func TestDeadlineOfDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6", "1.1.1.7")
		checkDeadline(t, Options{Resolver: resolveTo(many[0]), Dial: nobody}, 5*time.Second)
		// Four attempts with an equal share of the time, not seven.
		dials := &recorder{next: nobody}
		checkDeadline(t, Options{Resolver: resolveTo(many...), Dial: dials.dial}, 5*time.Second)
		if got := len(dials.seen()); got != 4 {
			t.Errorf("got %d attempts, want 4", got)
		}
		checkDeadline(t, Options{Resolver: resolveTo(many...), Dial: nobody, DialTimeout: time.Second}, time.Second)
		checkDeadline(t, Options{Resolver: resolveTo(many...), Dial: nobody, Timeout: time.Second}, time.Second)
	})
}

// TestDeadlineLeavesTimeForTheNextAddress: a dead first address costs its share.
func TestDeadlineLeavesTimeForTheNextAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		_, peer := net.Pipe()
		defer peer.Close()
		d := &dialer{resolver: resolveTo(public6, public4), timeout: 4 * time.Second, dial: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			if first {
				first = false
				return nobody(ctx, addr)
			}
			return peer, nil
		}}
		start := time.Now()
		if _, err := d.dialContext(t.Context(), "tcp", host+":443"); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v, want a connection after 2 s", err, time.Since(start))
		}
	})
}

func TestDeadlineOfHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkDeadline(t, Options{Resolver: resolveTo(public4), Dial: silence(t)}, 5*time.Second)
	})
}

// TestDeadlineOfAnswer: silence, a header and a body that come byte by byte, and
// endless informational answers all end with the overall deadline.
func TestDeadlineOfAnswer(t *testing.T) {
	drip := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			// A pipe holds nothing: without a reader it would hold up the goodbye
			// of the TLS client, which a socket's buffer takes.
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			_, _ = buf.WriteString(text)
			for buf.Flush() == nil {
				time.Sleep(time.Second)
				_ = buf.WriteByte('x')
			}
		}
	}
	handlers := map[string]http.HandlerFunc{
		"silence":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow header": drip("HTTP/1.1 200 OK\r\nX-Padding: "),
		"slow status": drip("HTTP/1.1 200 O"),
		"slow body":   drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
		"no end":      drip("HTTP/1.1 200 OK\r\n\r\n"),
		"endless early hints": func(w http.ResponseWriter, _ *http.Request) {
			for range 15 {
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Second)
			}
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, l := newAuthority(t), newPipes()
				serve(t, l, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, host)}}, handler)
				opts := Options{RootCAs: ca.Pool(), Resolver: resolveTo(public4), Dial: l.dial}
				checkDeadline(t, opts, 10*time.Second)
				opts.Timeout = 3 * time.Second
				checkDeadline(t, opts, 3*time.Second)
				time.Sleep(time.Minute) // the handlers notice that nobody listens
			})
		})
	}
}

// TestCallerGivesUp: the caller's context ends a request in any phase.
func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, dial := range []DialFunc{nobody, silence(t)} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, mustName(t, host).URL("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = NewClient(Options{Resolver: resolveTo(public4), Dial: dial}).Do(req)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("got %v after %v, want the caller's deadline", err, time.Since(start))
			}
			cancel()
		}
		// A handshake that is under way ends by its own deadline.
		time.Sleep(DefaultDialTimeout)
		synctest.Wait()
	})
}

// TestDiallingEndsWithTheRequest: net/http would go on dialling for requests to
// come; a stranger must not get more attempts than time.
func TestDiallingEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := &recorder{next: nobody}
		many := addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4")
		checkDeadline(t, Options{Resolver: resolveTo(many...), Dial: dials.dial, Timeout: 2 * time.Second}, 2*time.Second)
		synctest.Wait()
		before := len(dials.seen())
		time.Sleep(time.Minute)
		if got := len(dials.seen()); got != before {
			t.Errorf("%d more attempts after the deadline", got-before)
		}
	})
}
