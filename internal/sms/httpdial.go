// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// errPlain is why nothing was sent without encryption.
var errPlain = errors.New("plain http is for this machine, and this gateway is another one")

const (
	dialTimeout = 5 * time.Second
	// idleTimeout is shorter than that of any gateway: a request on a connection
	// that the other side is about to close may or may not have arrived.
	idleTimeout = 20 * time.Second
)

// newTransport makes the connections of one gateway. They speak HTTP/1.1, where
// a connection carries one request at a time and it is plain what was sent.
// Neither proxies of the environment nor redirects lead anywhere else.
func newTransport(cfg HTTPConfig, scheme string) *http.Transport {
	dialer := newDialer(cfg, scheme)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &counted{Conn: conn}, nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: cfg.CAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    2 * dialTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    16,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              &protocols,
	}
}

func newDialer(cfg HTTPConfig, scheme string) *net.Dialer {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if scheme == "http" && !cfg.AllowPlain {
		dialer.Control = onlyLoopback
	}
	return dialer
}

// onlyLoopback judges an address when it is about to be dialled: what a name
// resolves to, and not what it is called.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil || !addr.Addr().Unmap().IsLoopback() {
		return errPlain
	}
	return nil
}

// counted is a connection that counts what was written to it.
type counted struct {
	net.Conn
	written atomic.Int64
}

// Write counts before it writes: the answer may be there before Write returns.
func (c *counted) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n - len(p)))
	return n, err
}

// witness sees what happens to one request.
type witness struct {
	conn      atomic.Pointer[counted]
	before    atomic.Int64 // what had been written to it for others
	reused    atomic.Bool
	wrote     atomic.Bool
	handshake atomic.Pointer[error]
}

func (w *witness) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			conn := info.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				conn = secure.NetConn()
			}
			if c, ok := conn.(*counted); ok {
				w.before.Store(c.written.Load())
				w.conn.Store(c)
			}
			w.reused.Store(info.Reused)
		},
		WroteHeaders: func() { w.wrote.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				w.handshake.Store(&err)
			}
		},
	}
}

// sent reports that some of the request may have reached the other side.
func (w *witness) sent() bool {
	c := w.conn.Load()
	return c != nil && w.wrote.Load() && c.written.Load() > w.before.Load()
}
