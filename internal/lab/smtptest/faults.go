// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-smtp"
)

// What [Options.Fail] returns where a reply is not bad enough.
var (
	// ErrSilence makes the server say nothing and read nothing on the
	// connection, until it is closed.
	ErrSilence = errors.New("keep silent")
	// ErrDrop makes the server close the connection without a word.
	ErrDrop = errors.New("drop the connection")
	// ErrReset makes the server reset the connection (RST), as a relay that
	// crashed, or a firewall, does.
	ErrReset = errors.New("reset the connection")
)

// Reply is an SMTP error for [Options.Fail].
func Reply(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
}

// DropConnections closes all open connections, and leaves the server running:
// what a client's idle connections see when a relay restarts.
func (s *Server) DropConnections() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // it may have ended meanwhile
	}
}

// listener keeps account of the connections, and lets them fail before the
// SMTP server has said a word.
type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &faultyConn{Conn: raw, s: l.s}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.connections++
	l.s.open[c] = struct{}{}
	return c, nil
}

// faultyConn asks Options.Fail with its first use: Accept must not block.
type faultyConn struct {
	net.Conn
	s    *Server
	once sync.Once
}

func (c *faultyConn) Read(p []byte) (int, error) {
	c.once.Do(c.begin)
	return c.Conn.Read(p)
}

func (c *faultyConn) Write(p []byte) (int, error) {
	c.once.Do(c.begin)
	return c.Conn.Write(p)
}

func (c *faultyConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.open, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func (c *faultyConn) begin() {
	if c.s.opts.Fail == nil {
		return
	}
	err := c.s.opts.Fail("CONNECT", c.RemoteAddr().String())
	if err == nil {
		return
	}
	var reply *smtp.SMTPError
	switch {
	case errors.Is(err, ErrSilence):
		<-c.s.done
	case errors.Is(err, ErrReset):
		abort(c.Conn)
	case errors.As(err, &reply) && c.s.opts.Mode != TLS:
		_, _ = fmt.Fprintf(c.Conn, "%d %s\r\n", reply.Code, reply.Message) // and the end, be it read or not
	}
	_ = c.Close() // nothing more is to be said
}

// abort makes the end of a connection a reset.
func abort(c net.Conn) {
	switch inner := c.(type) {
	case *tls.Conn:
		abort(inner.NetConn())
	case *faultyConn:
		abort(inner.Conn)
	case *net.TCPConn:
		_ = inner.SetLinger(0) // it may have ended meanwhile
	}
}
