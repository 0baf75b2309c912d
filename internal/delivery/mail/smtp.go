// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// TLSMode is how the connection to a relay is protected. There is no
// opportunistic mode: whoever can strip an offer can read the mail.
type TLSMode string

// The modes.
const (
	// STARTTLS upgrades a plain connection, or fails.
	STARTTLS TLSMode = "starttls"
	// ImplicitTLS speaks TLS from the first byte (RFC 8314, port 465).
	ImplicitTLS TLSMode = "tls"
	// NoTLS is for a relay on this machine only.
	NoTLS TLSMode = "none"
)

// DefaultTimeout bounds one delivery, and each command in it.
const DefaultTimeout = 30 * time.Second

// SMTPConfig says how to reach a relay.
type SMTPConfig struct {
	Address            string // host:port
	TLS                TLSMode
	Username, Password string
	HELO               string
	Timeout            time.Duration
	RootCAs            *x509.CertPool // nil means the system's
	ServerName         string         // of the certificate; default: the host of Address
}

// Validate checks the configuration without I/O, and fills in defaults.
func (c *SMTPConfig) Validate() error {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server %q must be host:port", c.Address)
	}
	if c.TLS == "" {
		c.TLS = STARTTLS
	}
	switch c.TLS {
	case STARTTLS, ImplicitTLS:
	case NoTLS:
		if !loopback(host) {
			return fmt.Errorf("tls none is only allowed for a server on this machine, not for %q", host)
		}
		if c.Username != "" {
			return errors.New("a password is never sent without tls")
		}
	default:
		return fmt.Errorf("tls %q must be starttls, tls or none", c.TLS)
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("username and password go together")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Timeout < 0 {
		return errors.New("timeout must be positive")
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if c.HELO == "" {
		c.HELO = "localhost"
	}
	if hasControl(c.HELO) || strings.ContainsAny(c.HELO, " \t") {
		return fmt.Errorf("helo %q is not a host name", c.HELO)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

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
	return &SMTP{cfg: cfg, tls: &tls.Config{
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
		failed := s.deliver(ctx, c, from, to, message)
		if failed == nil {
			s.put(c)
			return nil
		}
		if failed.Code/100 == 5 && failed.Stage == "rcpt" && c.Reset() == nil {
			s.put(c)
			return failed
		}
		_ = c.Close() // it is of no more use
		stale := reused && failed.Stage != "data" && (failed.Code == 0 || failed.Code == 421)
		if !stale || ctx.Err() != nil {
			return failed
		}
	}
}

// deliver runs one mail transaction. The deadline that go-smtp sets does not
// cover writing the body, so the context closes the connection.
func (s *SMTP) deliver(ctx context.Context, c *conn, from, to string, message []byte) *SendError {
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	defer stop()
	opts := &smtp.MailOptions{}
	if !ascii(from) || !ascii(to) {
		if ok, _ := c.Extension("SMTPUTF8"); !ok {
			return &SendError{Stage: "mail", Reason: "the relay does not take addresses with non-ASCII letters (no SMTPUTF8)"}
		}
		opts.UTF8 = true
	}
	if err := c.Mail(from, opts); err != nil {
		return failure(ctx, "mail", err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return failure(ctx, "rcpt", err)
	}
	w, err := c.Data()
	if err != nil {
		return failure(ctx, "data", err)
	}
	if _, err := bytes.NewReader(message).WriteTo(w); err != nil {
		return failure(ctx, "data", err)
	}
	if err := w.Close(); err != nil {
		return failure(ctx, "data", err)
	}
	c.used++
	return nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}

// take returns an idle connection, or a new one.
func (s *SMTP) take(ctx context.Context) (c *conn, reused bool, err error) {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil, false, &SendError{Stage: "closed", temporary: true}
	}
	for len(s.idle) > 0 && c == nil {
		last := len(s.idle) - 1
		c, s.idle = s.idle[last], s.idle[:last]
		if time.Since(c.last) > maxIdleTime || c.used >= maxPerConn {
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

// put keeps a connection for the next message.
func (s *SMTP) put(c *conn) {
	c.last = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || len(s.idle) >= maxIdle {
		_ = c.Close() // nothing is in flight on it
		return
	}
	s.idle = append(s.idle, c)
}

// Close ends all idle connections; those in use end with their message.
func (s *SMTP) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for _, c := range s.idle {
		_ = c.Close() // nothing is in flight on it
	}
	s.idle = nil
	return nil
}
