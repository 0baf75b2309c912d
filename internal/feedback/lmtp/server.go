// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/dsn"
)

// Limits and times; see the package comment.
const (
	maxRecipients = 16
	maxConns      = 32
	// DefaultTimeout is how long a client may be silent.
	DefaultTimeout = 5 * time.Minute
	// DefaultGrace is how long Close waits for the mails under way.
	DefaultGrace = 5 * time.Second
)

// ErrNotLocal is returned by [Server.Serve] for a listener that others than
// this machine can reach.
var ErrNotLocal = errors.New("listener is neither a Unix socket nor on a loopback address")

// ErrClosed is returned by [Server.Serve] after [Server.Close].
var ErrClosed = errors.New("server is closed")

// Config is what a Server is made of. VERP, Tag and Receiver are required.
type Config struct {
	// VERP is the family of addresses that mail is taken for.
	VERP feedback.VERP
	// Tag tells a genuine tag; see [feedback.Tags].
	Tag func(tag string) (sid string, ok bool)
	// Receiver gets the reports.
	Receiver feedback.Receiver
	Timeout  time.Duration
	Grace    time.Duration
}

// Server is an LMTP server.
type Server struct {
	cfg  Config
	smtp *smtp.Server
	ctx  context.Context // ends when Close runs out of patience
	stop context.CancelFunc
	room chan struct{} // a place for each connection
	done chan struct{} // closed when Close begins

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	conns     map[*conn]struct{}
	active    int           // connections, and mails that are being read
	idle      chan struct{} // closed when active is 0 after Close began
	idled     sync.Once
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.VERP.Prefix == "" || cfg.VERP.Domain == "" || cfg.Tag == nil || cfg.Receiver == nil {
		return nil, errors.New("addresses, tag check and receiver are required")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, ctx: ctx, stop: stop, conns: map[*conn]struct{}{},
		room: make(chan struct{}, maxConns), done: make(chan struct{}), idle: make(chan struct{}),
	}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.LMTP = true
	s.smtp.Domain = cfg.VERP.Domain
	s.smtp.MaxRecipients = maxRecipients
	s.smtp.MaxMessageBytes = dsn.MaxMessage
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = cfg.Timeout, cfg.Timeout
	s.smtp.EnableSMTPUTF8 = true // a report of RFC 6533 is sent with it
	// The library's log may repeat what a client wrote.
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	return s, nil
}

// Serve takes connections until [Server.Close], and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if !local(l.Addr()) {
		return ErrNotLocal
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	err := s.smtp.Serve(&listener{Listener: l, server: s})
	select {
	case <-s.done:
		return nil
	default:
		return err
	}
}

// local reports whether only this machine can reach the address.
func local(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}

// Close takes no more connections, ends those between two mails at once, gives
// the others a moment to end theirs, and returns when all have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	var failures []error
	for _, l := range s.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			failures = append(failures, err)
		}
	}
	for c := range s.conns {
		c.leave(s.cfg.Grace)
	}
	if s.active == 0 {
		s.idled.Do(func() { close(s.idle) })
	}
	s.mu.Unlock()

	defer s.stop()
	if !s.wait() {
		// Whoever is left gets no answer, and sends its mail again.
		s.stop()
		s.mu.Lock()
		for c := range s.conns {
			c.Conn.Close()
		}
		s.mu.Unlock()
		if !s.wait() {
			failures = append(failures, errors.New("a mail is still being read"))
		}
	}
	return errors.Join(failures...)
}

// wait gives everything a moment to end.
func (s *Server) wait() bool {
	timer := time.NewTimer(s.cfg.Grace)
	defer timer.Stop()
	select {
	case <-s.idle:
		return true
	case <-timer.C:
		return false
	}
}

// begin counts something that Close waits for; the lock is held.
func (s *Server) begin() { s.active++ }

// end is the other half of begin.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.active == 0 && s.closed {
		s.idled.Do(func() { close(s.idle) })
	}
}
