// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/internal/delivery/mail"
)

func init() {
	caddy.RegisterModule(new(SMTPMailer))
}

// SMTPMailer sends mail by an SMTP relay. The relay's certificate is always
// verified, and credentials are never sent without TLS.
type SMTPMailer struct {
	// The relay, as host:port. Required.
	Server string `json:"server,omitempty"`

	// How the connection is protected: `starttls` (required of the relay, not
	// only used if offered), `tls` (from the first byte, mostly port 465), or
	// `none`, for a relay on this machine only. Default: `starttls`.
	TLS string `json:"tls,omitempty"`

	// The credentials. Use a placeholder like `{env.SMTP_PASSWORD}` for the
	// password, so that it does not stand in the configuration. Default: none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// The sender's mailbox, an address or `Name <address>`. Required.
	Sender string `json:"from,omitempty"`

	// The name by which to introduce oneself to the relay (EHLO): a host name
	// that resolves to this server. Default: the system's host name.
	Helo string `json:"helo,omitempty"`

	// How long one delivery may take. Default: 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// A PEM file with the certificate authorities that are trusted for the
	// relay, instead of the system's. It is read at start.
	CAFile string `json:"ca_file,omitempty"`

	// The name that the relay's certificate must be for. Default: the host of
	// `server`.
	TLSServerName string `json:"tls_server_name,omitempty"`

	cfg       mail.SMTPConfig // resolved, holds the password
	from      string
	caFile    string
	transport atomic.Pointer[mail.SMTP]
}

// CaddyModule returns the Caddy module information.
func (*SMTPMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.mailers.smtp",
		New: func() caddy.Module { return new(SMTPMailer) },
	}
}

// Provision expands the options.
func (m *SMTPMailer) Provision(caddy.Context) error {
	e := newExpander()
	m.cfg = mail.SMTPConfig{
		Address:    e.text("server", m.Server),
		TLS:        mail.TLSMode(e.text("tls", m.TLS)),
		Username:   e.text("username", m.Username),
		Password:   e.text("password", m.Password),
		HELO:       e.text("helo", m.Helo),
		Timeout:    time.Duration(m.Timeout),
		ServerName: e.text("tls_server_name", m.TLSServerName),
	}
	if m.cfg.HELO == "" {
		if name, err := os.Hostname(); err == nil {
			m.cfg.HELO = name
		}
	}
	m.from = e.text("from", m.Sender)
	m.caFile = e.text("ca_file", m.CAFile)
	return e.err()
}

// Validate checks the options.
func (m *SMTPMailer) Validate() error {
	switch {
	case m.cfg.Address == "":
		return errors.New("mailer smtp: server is required")
	case m.from == "":
		return errors.New("mailer smtp: from is required")
	case m.caFile != "" && m.cfg.TLS == mail.NoTLS:
		return errors.New("mailer smtp: ca_file is of no use with tls none")
	}
	cfg := m.cfg
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("mailer smtp: %w", err)
	}
	return nil
}

// Start implements Starter: it reads the CA file. The relay itself is not
// called, because a server must be able to start while its relay is down.
func (m *SMTPMailer) Start() error {
	cfg := m.cfg
	if m.caFile != "" {
		pem, err := os.ReadFile(m.caFile)
		if err != nil {
			return fmt.Errorf("read ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ca_file %s has no certificate in PEM form", m.caFile)
		}
	}
	transport, err := mail.NewSMTP(cfg)
	if err != nil {
		return err
	}
	m.transport.Store(transport)
	return nil
}

// From implements Mailer.
func (m *SMTPMailer) From() string { return m.from }

// Send implements Mailer.
func (m *SMTPMailer) Send(ctx context.Context, from, to string, message []byte) error {
	transport := m.transport.Load()
	if transport == nil {
		return errNotStarted
	}
	return transport.Send(ctx, from, to, message)
}

// Cleanup closes idle connections; those in use end with their message.
func (m *SMTPMailer) Cleanup() error {
	if transport := m.transport.Load(); transport != nil {
		return transport.Close()
	}
	return nil
}

// errNotStarted does not happen: the app starts the mailer before the outbox.
var errNotStarted = errors.New("smtp mailer is not started")

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens. Syntax:
//
//	smtp {
//		server          <host:port>
//		tls             starttls|tls|none
//		username        <name>
//		password        <password>
//		from            <mailbox>
//		helo            <name>
//		timeout         <duration>
//		ca_file         <path>
//		tls_server_name <name>
//	}
func (m *SMTPMailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return readBlock(d, 0, options{
		"server":          oneArg(d, &m.Server),
		"tls":             oneWord(d, &m.TLS, string(mail.STARTTLS), string(mail.ImplicitTLS), string(mail.NoTLS)),
		"username":        oneArg(d, &m.Username),
		"password":        oneArg(d, &m.Password),
		"from":            oneArg(d, &m.Sender),
		"helo":            oneArg(d, &m.Helo),
		"timeout":         oneDuration(d, &m.Timeout),
		"ca_file":         oneArg(d, &m.CAFile),
		"tls_server_name": oneArg(d, &m.TLSServerName),
	})
}

// Interface guards
var (
	_ Mailer                = (*SMTPMailer)(nil)
	_ Starter               = (*SMTPMailer)(nil)
	_ caddy.Provisioner     = (*SMTPMailer)(nil)
	_ caddy.Validator       = (*SMTPMailer)(nil)
	_ caddy.CleanerUpper    = (*SMTPMailer)(nil)
	_ caddyfile.Unmarshaler = (*SMTPMailer)(nil)
)
