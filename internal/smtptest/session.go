// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/emersion/go-sasl"
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

// AuthMechanisms implements smtp.AuthSession.
func (c *session) AuthMechanisms() []string {
	switch {
	case c.s.opts.Username == "":
		return nil
	case c.s.opts.Mechanisms != nil:
		return c.s.opts.Mechanisms
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (c *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case !slices.Contains(c.AuthMechanisms(), mechanism):
	case mechanism == sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error {
			return c.login(username, password)
		}), nil
	case mechanism == sasl.Login:
		return &loginServer{check: c.login}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (c *session) login(username, password string) error {
	if err := c.fail("AUTH", username); err != nil {
		return err
	}
	if username != c.s.opts.Username || password != c.s.opts.Password {
		return smtp.ErrAuthFailed
	}
	c.authed = true
	return nil
}

// loginServer is the server's side of LOGIN, which go-sasl has not.
type loginServer struct {
	check    func(username, password string) error
	username *string
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	answer := string(response)
	switch {
	case l.username != nil:
		return nil, true, l.check(*l.username, answer)
	case response == nil:
		return []byte("Username:"), false, nil
	}
	l.username = &answer
	return []byte("Password:"), false, nil
}

// Mail implements smtp.Session.
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
	if err := c.fail("BODY", c.from); err != nil {
		return err
	}
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
		c.s.deliver(Message{From: c.from, To: to, Raw: raw, Encrypted: secure, Authenticated: c.authed, UTF8: c.utf8})
	}
	return nil
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
	if errors.Is(err, ErrSilence) || errors.Is(err, ErrDrop) {
		_ = c.conn.Conn().Close() // nothing more is to be said
	}
	return err
}

// Reset implements smtp.Session.
func (c *session) Reset() { c.from, c.to, c.utf8, c.begun = "", nil, false, false }

// Logout implements smtp.Session.
func (c *session) Logout() error { return nil }
