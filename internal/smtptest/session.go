// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one SMTP connection.
type session struct {
	s      *Server
	conn   *smtp.Conn
	from   string
	to     []string
	authed bool
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
	s.helos = append(s.helos, c.Hostname())
	return &session{s: s, conn: c}, nil
}

// AuthMechanisms implements smtp.AuthSession.
func (c *session) AuthMechanisms() []string {
	if c.s.opts.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != c.s.opts.Username || password != c.s.opts.Password {
			return errors.New("wrong password")
		}
		c.authed = true
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.s.opts.Username != "" && !c.authed {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return c.fail("MAIL", from)
}

// Rcpt implements smtp.Session.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := c.fail("RCPT", to); err != nil {
		return err
	}
	c.to = append(c.to, to)
	return nil
}

// Data implements smtp.Session.
func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	for _, to := range c.to {
		if err := c.fail("DATA", to); err != nil {
			return err
		}
	}
	_, secure := c.conn.Conn().(*tls.Conn)
	for _, to := range c.to {
		c.s.deliver(Message{From: c.from, To: to, Raw: raw, Encrypted: secure, Authenticated: c.authed})
	}
	return nil
}

func (c *session) fail(stage, address string) error {
	if c.s.opts.Fail == nil {
		return nil
	}
	return c.s.opts.Fail(stage, address)
}

// Reset implements smtp.Session.
func (c *session) Reset() { c.from, c.to = "", nil }

// Logout implements smtp.Session.
func (c *session) Logout() error { return nil }
