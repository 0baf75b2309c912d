// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-smtp"
)

// session is one SMTP connection.
type session struct {
	s      *Server
	conn   *smtp.Conn
	from   string
	to     []string
	utf8   bool
	begun  bool // MAIL was accepted
	authed bool
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	s.helos = append(s.helos, c.Hostname())
	s.mu.Unlock()
	session := &session{s: s, conn: c}
	if err := session.fail("EHLO", ""); err != nil {
		return nil, err
	}
	return session, nil
}

func (c *session) Mail(from string, opts *smtp.MailOptions) error {
	if c.s.opts.Username != "" && !c.authed {
		return smtp.ErrAuthRequired
	}
	if c.begun { // RFC 5321 §4.1.4; go-smtp would let it pass
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "nested MAIL command"}
	}
	if err := c.fail("MAIL", from); err != nil {
		return err
	}
	c.begun, c.from, c.utf8 = true, from, opts.UTF8
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := c.fail("RCPT", to); err != nil {
		return err
	}
	c.to = append(c.to, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	if err := c.fail("BODY", c.from); err != nil {
		return err
	}
	raw, err := c.read(r)
	if err != nil {
		return err
	}
	for _, to := range c.to {
		if err := c.fail("DATA", to); err != nil {
			return err
		}
	}
	_, secure := c.conn.Conn().(*tls.Conn)
	for _, to := range c.to {
		c.s.deliver(Message{From: c.from, To: to, Raw: raw, Encrypted: secure, Authenticated: c.authed, UTF8: c.utf8})
	}
	return nil
}

// read reads the text of a message, and may fail in the middle of it.
func (c *session) read(r io.Reader) ([]byte, error) {
	start := make([]byte, 64)
	n, err := io.ReadFull(r, start)
	if err == nil {
		if err := c.fail("MIDDATA", c.from); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read message: %w", err)
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return append(start[:n], rest...), nil
}

// fail asks Options.Fail, and does itself what no reply can say.
func (c *session) fail(stage, address string) error {
	if c.s.opts.Fail == nil {
		return nil
	}
	err := c.s.opts.Fail(stage, address)
	if errors.Is(err, ErrSilence) {
		<-c.s.done
	}
	if errors.Is(err, ErrReset) {
		abort(c.conn.Conn())
	}
	if errors.Is(err, ErrSilence) || errors.Is(err, ErrDrop) || errors.Is(err, ErrReset) {
		_ = c.conn.Conn().Close() // nothing more is to be said
	}
	return err
}

func (c *session) Reset() { c.from, c.to, c.utf8, c.begun = "", nil, false, false }

func (c *session) Logout() error { return nil }
