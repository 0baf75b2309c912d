// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// probeAfter is how long a connection may be idle and still be trusted without
// a question: within that time a relay rarely gives up on one.
const probeAfter = 2 * time.Second

// idleTime is how long a connection without work is kept, and maxMails after how
// many mails it is replaced.
const (
	idleTime = 30 * time.Second
	maxMails = 100
)

// maxGoodbye bounds the last exchange on a connection, and a question whether
// it is alive.
const maxGoodbye = time.Second

// conn is one connection to the relay.
type conn struct {
	*smtp.Client
	net     net.Conn
	replies *replies
	used    int
	last    time.Time
}

// admit waits until a message may be sent: for its turn under the rate limit,
// and for one of the connections to be free. It returns the way to give the
// place back.
func (s *SMTP) admit(ctx context.Context) (leave func(), failed *SendError) {
	if s.limiter != nil {
		if err := s.limiter.Wait(ctx); err != nil {
			return nil, s.busy(ctx, ReasonRate)
		}
	}
	leave = sync.OnceFunc(func() { <-s.slots })
	select {
	case s.slots <- struct{}{}: // free at once, whatever else is the case
		return leave, nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return leave, nil
	case <-s.closed:
		return nil, closedError()
	case <-ctx.Done():
		return nil, s.busy(ctx, ReasonBusy)
	}
}

// busy is the error of a message that was not even tried.
func (s *SMTP) busy(ctx context.Context, reason string) *SendError {
	e := &SendError{Stage: "wait", Reason: reason, Detail: "it was not this message's turn in time", cause: context.DeadlineExceeded, temporary: true}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Reason, e.Detail, e.cause = ReasonInterrupted, "interrupted", ctx.Err()
	}
	return e
}

func closedError() *SendError {
	return &SendError{Stage: "closed", Reason: ReasonClosed, Detail: ErrClosed.Error(), cause: ErrClosed, temporary: true}
}

// take returns an idle connection that is alive, or a new one.
func (s *SMTP) take(ctx context.Context) (c *conn, reused bool, failed *SendError) {
	for {
		c, down := s.pop()
		switch {
		case down:
			return nil, false, closedError()
		case c == nil:
			c, failed := s.connect(ctx, nil)
			return c, false, failed
		case time.Since(c.last) <= s.keep && (time.Since(c.last) < s.probe || c.alive()):
			return c, true, nil
		}
		_ = c.Close() // too old to be trusted, or dead
	}
}

// pop takes the connection that was used last.
func (s *SMTP) pop() (c *conn, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.idle) - 1; last >= 0 {
		c, s.idle = s.idle[last], s.idle[:last]
	}
	return c, s.down
}

// alive asks the relay.
func (c *conn) alive() bool {
	late := time.AfterFunc(maxGoodbye, func() { _ = c.net.Close() })
	defer late.Stop()
	return c.Noop() == nil
}

// give keeps a usable connection for the next message.
func (s *SMTP) give(c *conn, usable bool) {
	if !usable {
		_ = c.Close() // nothing more is to be said on it
		return
	}
	c.last = time.Now()
	s.mu.Lock()
	kept := !s.down && c.used < s.most && len(s.idle) < s.cfg.MaxConnections
	if kept {
		s.idle = append(s.idle, c)
		s.reapIn(s.keep)
	}
	s.mu.Unlock()
	if !kept {
		c.quit()
	}
}

// reapIn makes sure that somebody looks for connections that nobody needs any
// more: a relay may write a complaint about each that it has to close itself.
func (s *SMTP) reapIn(d time.Duration) {
	if s.reaper == nil {
		s.reaper = time.AfterFunc(d, s.reap)
	}
}

func (s *SMTP) reap() {
	s.mu.Lock()
	s.reaper = nil
	var old []*conn
	for len(s.idle) > 0 && time.Since(s.idle[0].last) >= s.keep {
		old, s.idle = append(old, s.idle[0]), s.idle[1:]
	}
	if len(s.idle) > 0 {
		s.reapIn(max(s.keep-time.Since(s.idle[0].last), time.Millisecond))
	}
	s.mu.Unlock()
	quitAll(old)
}

// Close ends all idle connections; those in use end with their message.
func (s *SMTP) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	if !s.down {
		s.down = true
		close(s.closed)
	}
	s.mu.Unlock()
	quitAll(idle)
	return nil
}

func quitAll(conns []*conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(c.quit)
	}
	wg.Wait()
}

// quit ends a connection as RFC 5321 §4.1.1.10 wants it: a relay may log the
// other way as a fault. Nobody waits long for it.
func (c *conn) quit() {
	late := time.AfterFunc(maxGoodbye, func() { _ = c.net.Close() })
	defer late.Stop()
	if c.Quit() != nil {
		_ = c.Close() // it was on its way out
	}
}
