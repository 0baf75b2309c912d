// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// An ordinary address of each family. Nothing in these tests connects to them:
// the dial functions lead elsewhere, or nowhere.
var (
	public4 = netip.MustParseAddr("93.184.215.14")
	public6 = netip.MustParseAddr("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
	local4  = netip.MustParseAddr("127.0.0.1")
	local6  = netip.MustParseAddr("::1")
)

// host is the name that most tests aim at.
const host = "is.example"

func mustName(t *testing.T, raw string) Name {
	t.Helper()
	name, err := ParseName(raw)
	if err != nil {
		t.Fatalf("ParseName(%q): %v", raw, err)
	}
	return name
}

// resolverFunc is a Resolver; it is given the host only.
type resolverFunc func(ctx context.Context, host string) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	return f(ctx, host)
}

// resolveTo answers every name with the same addresses.
func resolveTo(addrs ...netip.Addr) Resolver {
	return resolverFunc(func(context.Context, string) ([]netip.Addr, error) { return addrs, nil })
}

// recorder is a DialFunc that notes what it is asked for.
type recorder struct {
	next DialFunc

	mu      sync.Mutex
	dialled []netip.AddrPort
}

func (r *recorder) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	r.mu.Lock()
	r.dialled = append(r.dialled, addr)
	r.mu.Unlock()
	return r.next(ctx, addr)
}

func (r *recorder) seen() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dialled)
}

// authority signs certificates for the tests.
type authority struct{ *certs.Authority }

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	return authority{ca}
}

// issue makes a certificate for names; change may spoil it.
func (a authority) issue(t *testing.T, change func(*x509.Certificate), names ...string) tls.Certificate {
	t.Helper()
	leaf := certs.ServerTemplate(names...)
	if change != nil {
		change(leaf)
	}
	cert, err := a.Issue(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// countedListener counts the connections it accepts.
type countedListener struct {
	net.Listener
	accepts atomic.Int64
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepts.Add(1)
	}
	return conn, err
}

func (l *countedListener) port() uint16 {
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// reach is a DialFunc that leads every address to the listener.
func (l *countedListener) reach(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	return dialTCP(ctx, netip.AddrPortFrom(local4, l.port()))
}

// listen opens a listener on loopback.
func listen(t *testing.T) *countedListener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	return &countedListener{Listener: inner}
}

// serve runs a handler on a listener; a nil config means without TLS.
func serve(t *testing.T, l net.Listener, config *tls.Config, handler http.Handler) {
	t.Helper()
	srv := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if config == nil {
			_ = srv.Serve(l)
		} else {
			_ = srv.ServeTLS(l, "", "")
		}
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}

// lab is a TLS server that goes by the name of host, at an ordinary address as
// far as the client can see, and a client for it.
type lab struct {
	*countedListener
	client *http.Client
	dials  *recorder
}

func newLab(t *testing.T, handler http.HandlerFunc, opts Options) *lab {
	t.Helper()
	ca := newAuthority(t)
	l := &lab{countedListener: listen(t)}
	l.dials = &recorder{next: l.reach}
	serve(t, l, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, host)}}, handler)
	opts.RootCAs, opts.Resolver, opts.Dial = ca.Pool(), resolveTo(public4), l.dials.dial
	l.client = NewClient(opts)
	return l
}

// get fetches a URL whole.
func get(client *http.Client, url string) (status int, body []byte, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
