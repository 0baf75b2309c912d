// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Limits of the pool of idle connections.
const (
	maxIdle     = 4
	maxIdleTime = 30 * time.Second
	maxPerConn  = 100
)

// SMTP is a transport to one relay, with a few reused connections.
type SMTP struct {
	cfg  SMTPConfig
	tls  *tls.Config
	keep time.Duration // how long a connection is kept idle
	mu   sync.Mutex
	idle []*conn
	down bool
}

// conn is one connection to the relay.
type conn struct {
	*smtp.Client
	net  net.Conn
	used int
	last time.Time
}

// NewSMTP makes a transport. It opens no connection.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &SMTP{cfg: cfg, keep: maxIdleTime, tls: &tls.Config{
		ServerName: cfg.ServerName, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12,
	}}, nil
}

// Send delivers a message to the relay. A reused connection that turns out to
// be dead before the message was sent is replaced once.
func (s *SMTP) Send(ctx context.Context, from, to string, message []byte) error {
	if !bare(from) {
		return ErrInvalidSender
	}
	if !bare(to) {
		return ErrInvalidRecipient
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for {
		c, reused, err := s.take(ctx)
		if err != nil {
			return err
		}
		failed, usable := deliver(ctx, c, from, to, message)
		s.give(c, usable)
		if failed == nil {
			return nil
		}
		stale := reused && failed.Stage != "data" && (failed.Code == 0 || failed.Code == 421)
		if !stale || !failed.Temporary() || ctx.Err() != nil {
			return failed
		}
	}
}

// deliver runs one mail transaction, and tells whether the connection can be
// used for another. The deadline that go-smtp sets does not cover writing the
// body, so the context closes the connection.
func deliver(ctx context.Context, c *conn, from, to string, message []byte) (failed *SendError, usable bool) {
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	c.used++
	stage, err := transact(c, from, to, message)
	if err == nil {
		return nil, stop()
	}
	failed = failure(ctx, stage, err)
	usable = failed.refused() && c.Reset() == nil
	return failed, stop() && usable
}

// transact returns the stage at which it failed.
func transact(c *conn, from, to string, message []byte) (stage string, err error) {
	opts := &smtp.MailOptions{}
	if !ascii(from) || !ascii(to) {
		if ok, _ := c.Extension("SMTPUTF8"); !ok {
			return "mail", errNoSMTPUTF8
		}
		opts.UTF8 = true
	}
	if err := c.Mail(from, opts); err != nil {
		return "mail", err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return "rcpt", err
	}
	w, err := c.Data()
	if err != nil {
		return "data", err
	}
	if _, err := bytes.NewReader(message).WriteTo(w); err != nil {
		return "data", err
	}
	if err := w.Close(); err != nil {
		return "data", err
	}
	return "", nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}

// take returns an idle connection, or a new one.
func (s *SMTP) take(ctx context.Context) (c *conn, reused bool, err error) {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil, false, &SendError{Stage: "closed", Reason: ErrClosed.Error(), cause: ErrClosed, temporary: true}
	}
	for len(s.idle) > 0 && c == nil {
		last := len(s.idle) - 1
		c, s.idle = s.idle[last], s.idle[:last]
		if time.Since(c.last) > s.keep {
			_ = c.Close() // too old to be trusted
			c = nil
		}
	}
	s.mu.Unlock()
	if c != nil {
		return c, true, nil
	}
	c, failed := s.connect(ctx)
	if failed != nil {
		return nil, false, failed
	}
	return c, false, nil
}

// give keeps a usable connection for the next message.
func (s *SMTP) give(c *conn, usable bool) {
	if !usable {
		_ = c.Close() // nothing more is to be said on it
		return
	}
	c.last = time.Now()
	s.mu.Lock()
	kept := !s.down && c.used < maxPerConn && len(s.idle) < maxIdle
	if kept {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if !kept {
		c.quit()
	}
}

// Close ends all idle connections; those in use end with their message.
func (s *SMTP) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.down = nil, true
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range idle {
		wg.Go(c.quit)
	}
	wg.Wait()
	return nil
}

// maxGoodbye bounds the last exchange on a connection.
const maxGoodbye = time.Second

// quit ends a connection as RFC 5321 §4.1.1.10 wants it: a relay may log the
// other way as a fault. Nobody waits long for it.
func (c *conn) quit() {
	late := time.AfterFunc(maxGoodbye, func() { _ = c.net.Close() })
	defer late.Stop()
	if c.Quit() != nil {
		_ = c.Close() // it was on its way out
	}
}
