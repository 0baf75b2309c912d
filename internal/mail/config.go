// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
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
	// NoTLS is for a relay on this machine (but see SMTPConfig.AllowPlaintext).
	NoTLS TLSMode = "none"
)

// Defaults of [SMTPConfig].
const (
	// DefaultTimeout bounds one delivery up to the end of the mail's text, and
	// each command in it.
	DefaultTimeout = 30 * time.Second
	// DefaultConnectTimeout bounds dialling, TLS and log-in, so that time is
	// left for another relay.
	DefaultConnectTimeout = 15 * time.Second
	// DefaultMaxConnections is what a relay bears from one client as a rule.
	DefaultMaxConnections = 8
)

// SMTPConfig says how to reach a relay.
type SMTPConfig struct {
	Address            string // host:port
	TLS                TLSMode
	Username, Password string
	// Auth is how to log in. Default: [AuthAuto].
	Auth AuthMethod
	// Token returns an OAuth 2.0 access token; it takes the place of Password.
	// It is asked for each new connection, so it is to keep what is still valid.
	Token func(context.Context) (string, error)
	// HELO is the name to introduce oneself by: a fully qualified host name, or
	// an address literal like [192.0.2.1] (RFC 5321 §4.1.1.1). Default: the
	// name of this machine if it is such a one, else the literal of the
	// connection's own address; "localhost" to a relay on this machine.
	HELO           string
	Timeout        time.Duration
	ConnectTimeout time.Duration
	// HandoverTimeout bounds the wait for the answer to the final dot, which
	// Timeout does not; after Slow of it, the mail does not count as one of
	// MaxConnections any more, of which as many may wait besides.
	HandoverTimeout, Slow time.Duration
	RootCAs               *x509.CertPool // nil means the system's
	ServerName            string         // of the certificate; default: the host of Address
	// Certificates are shown to a relay that asks for one.
	Certificates []tls.Certificate
	// AllowPlaintext lets NoTLS be used for a relay on another machine, such as
	// a container next door. A password is not sent to it even so.
	AllowPlaintext bool
	// MaxConnections bounds the open connections, idle ones included.
	MaxConnections int
	// Rate bounds the messages per second; 0 means no bound.
	Rate float64
}

// Validate checks the configuration without I/O, and fills in defaults.
func (c *SMTPConfig) Validate() error {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server %q must be host:port; write it like smtp.example.org:587", c.Address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("server %q: the port must be a number from 1 to 65535", c.Address)
	}
	for _, check := range []func(host string) error{c.checkTLS, c.checkPort, c.checkAuth, c.checkLimits, c.checkHELO} {
		if err := check(host); err != nil {
			return err
		}
	}
	return nil
}

func (c *SMTPConfig) checkTLS(host string) error {
	if c.TLS == "" {
		c.TLS = STARTTLS
	}
	switch c.TLS {
	case STARTTLS, ImplicitTLS:
	case NoTLS:
		if !c.AllowPlaintext && !loopback(host) {
			return fmt.Errorf("tls none is only allowed for a server on this machine, not for %q; write: tls starttls", host)
		}
		if len(c.Certificates) > 0 {
			return errors.New("a client certificate is of no use with tls none")
		}
	default:
		return fmt.Errorf("tls %q must be starttls, tls or none", c.TLS)
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	return nil
}

func (c *SMTPConfig) checkLimits(string) error {
	for name, d := range map[string]*time.Duration{
		"timeout": &c.Timeout, "connect timeout": &c.ConnectTimeout,
		"handover timeout": &c.HandoverTimeout, "patience": &c.Slow,
	} {
		if *d < 0 {
			return fmt.Errorf("%s must be positive", name)
		}
	}
	if c.MaxConnections < 0 {
		return errors.New("the limits of connections and of messages over one must be positive")
	}
	// Not-a-number is refused, too: it is not at least 0.
	if !(c.Rate >= 0) || c.Rate > maxRate {
		return fmt.Errorf("rate must be from 0 to %d messages per second", maxRate)
	}
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.ConnectTimeout, min(DefaultConnectTimeout, c.Timeout))
	setDefault(&c.HandoverTimeout, DefaultHandoverTimeout)
	setDefault(&c.Slow, DefaultSlow)
	setDefault(&c.MaxConnections, DefaultMaxConnections)
	return nil
}

// maxRate keeps the arithmetic of the limiter far from its ends.
const maxRate = 1_000_000

func setDefault[T comparable](value *T, preset T) {
	var zero T
	if *value == zero {
		*value = preset
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}
