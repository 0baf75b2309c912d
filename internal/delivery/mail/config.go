// SPDX-License-Identifier: Apache-2.0

package mail

import (
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
	// AllowPlaintext lets NoTLS be used for a relay on another machine, such as
	// a container next door. A password is not sent to it even so.
	AllowPlaintext bool
}

// Validate checks the configuration without I/O, and fills in defaults.
func (c *SMTPConfig) Validate() error {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server %q must be host:port", c.Address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q of the server must be a number from 1 to 65535", port)
	}
	if c.TLS == "" {
		c.TLS = STARTTLS
	}
	switch c.TLS {
	case STARTTLS, ImplicitTLS:
	case NoTLS:
		if !c.AllowPlaintext && !loopback(host) {
			return fmt.Errorf("tls none is only allowed for a server on this machine, not for %q", host)
		}
		if c.Username != "" {
			return errPlainAuth
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
	if strings.ContainsFunc(c.HELO, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("helo %q is not a host name", c.HELO)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}
