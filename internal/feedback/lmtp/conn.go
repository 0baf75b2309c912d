// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"net"
	"sync"
	"time"
)

// listener hands out connections that a Server can end in an orderly way, and
// no more of them than there is room for.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	s := l.server
	select {
	case s.room <- struct{}{}:
	case <-s.done:
		return nil, net.ErrClosed
	}
	raw, err := l.Listener.Accept()
	if err != nil {
		<-s.room
		return nil, err
	}
	c := &conn{Conn: raw, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		<-s.room
		raw.Close()
		return nil, net.ErrClosed
	}
	s.begin()
	s.conns[c] = struct{}{}
	return c, nil
}

// conn is a connection that knows whether a mail is under way on it.
type conn struct {
	net.Conn
	server *Server
	once   sync.Once

	mu      sync.Mutex
	busy    bool
	leaving bool
	last    time.Time // no read waits longer once leaving
}

// SetReadDeadline implements [net.Conn]. The library sets it before every
// command, which is where a connection that is to leave does so.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.SetReadDeadline(c.bound(t))
}

func (c *conn) bound(t time.Time) time.Time {
	switch {
	case !c.leaving:
		return t
	case !c.busy:
		return time.Unix(1, 0) // at once
	case t.IsZero() || t.After(c.last):
		return c.last
	}
	return t
}

// work notes whether a mail is under way.
func (c *conn) work(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

// leave ends the connection, now or after the mail that is under way.
func (c *conn) leave(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving, c.last = true, time.Now().Add(grace)
	c.Conn.SetReadDeadline(c.bound(c.last)) //nolint:errcheck // fails only on a connection that has ended
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.server.mu.Lock()
		delete(c.server.conns, c)
		c.server.mu.Unlock()
		<-c.server.room
		c.server.end()
	})
	return c.Conn.Close()
}
