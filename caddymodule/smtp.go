// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

func init() {
	caddy.RegisterModule(new(SMTPMailer))
}

// SMTPMailer sends mail by an SMTP relay, or by several: the next one is used
// while one is out of order. A relay's certificate is always verified, and
// credentials are never sent without TLS.
type SMTPMailer struct {
	SMTPRelay

	// The sender's mailbox, an address or `Name <address>`. Required.
	Sender string `json:"from,omitempty"`

	// Further relays, in the order in which they are tried.
	Relays []*SMTPRelay `json:"relays,omitempty"`

	// Signs mail, for where the relay does not. Default: mail is not signed.
	DKIM *DKIM `json:"dkim,omitempty"`

	logger    *zap.Logger
	from      string
	dkim      DKIM                      // resolved
	signer    atomic.Pointer[mail.DKIM] // nil: mail is not signed
	transport atomic.Pointer[mail.Relays]
}

// DKIM says how to sign mail (RFC 6376).
type DKIM struct {
	// The domain that signs; it should be that of `from`, or DMARC does not
	// count the signature.
	Domain string `json:"domain,omitempty"`
	// The selector: the public key stands in DNS at
	// <selector>._domainkey.<domain>.
	Selector string `json:"selector,omitempty"`
	// A PEM file with the private key: RSA of 2048 bits or more, or Ed25519.
	KeyFile string `json:"key_file,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*SMTPMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.mailers.smtp",
		New: func() caddy.Module { return new(SMTPMailer) },
	}
}

// all are the relays in their order.
func (m *SMTPMailer) all() []*SMTPRelay {
	return append([]*SMTPRelay{&m.SMTPRelay}, m.Relays...)
}

// Provision sets the mailer up. Its options are judged together with the app's.
func (m *SMTPMailer) Provision(ctx caddy.Context) error {
	m.logger = ctx.Logger()
	return nil
}

// judge implements judged.
func (m *SMTPMailer) judge(e *expander) {
	m.SMTPRelay.judge(e)
	for _, r := range m.Relays {
		r.judge(e.in("relay " + r.Server))
	}
	if m.from = input.Trim(e.text("from", m.Sender)); m.from == "" && m.Sender == "" {
		e.failf("from: is required; write: from noreply@example.org")
	}
	if k := m.DKIM; k != nil {
		m.dkim = DKIM{Domain: e.text("dkim", k.Domain), Selector: e.text("dkim", k.Selector), KeyFile: e.text("dkim", k.KeyFile)}
		m.judgeDKIM(e)
	}
}

// judgeDKIM reads the key.
func (m *SMTPMailer) judgeDKIM(e *expander) {
	k := m.DKIM
	if k.Domain == "" || k.Selector == "" || k.KeyFile == "" {
		e.failf("dkim: needs a domain, a selector and a key file; write: dkim example.org mail2026 /etc/caddy/dkim.pem")
		return
	}
	signer := &mail.DKIM{Domain: m.dkim.Domain, Selector: m.dkim.Selector}
	if e.draft {
		e.fail(signer.CheckNames())
		return
	}
	var err error
	if signer.Signer, err = m.dkim.open(); err != nil {
		e.failf("dkim %s: %w", m.dkim.KeyFile, err)
		return
	}
	if err := signer.Validate(); err != nil {
		e.fail(err)
		return
	}
	m.signer.Store(signer)
}

// Start implements Starter.
func (m *SMTPMailer) Start() error {
	var relays []mail.Relay
	for _, r := range m.all() {
		transport, err := mail.NewSMTP(r.cfg)
		if err != nil {
			return fmt.Errorf("relay %s: %w", r.cfg.Address, err)
		}
		relays = append(relays, mail.Relay{Name: r.cfg.Address, Transport: transport})
	}
	transport, err := mail.NewRelays(relays, failover.Config{OnChange: m.changed})
	if err != nil {
		return err
	}
	m.transport.Store(transport)
	return nil
}

// changed tells the operator that a relay is left alone, tried, or used again.
func (m *SMTPMailer) changed(s failover.Status) {
	level := zapcore.InfoLevel
	if s.State == failover.Open {
		level = zapcore.WarnLevel
	}
	if e := m.logger.Check(level, "relay changed"); e != nil {
		e.Write(zap.String("relay", s.Name), zap.String("state", s.State), zap.String("last_error", s.LastError), zap.Time("retry_at", s.RetryAt))
	}
}

// open reads the key.
func (k *DKIM) open() (crypto.Signer, error) {
	raw, err := os.ReadFile(k.KeyFile)
	if err != nil {
		return nil, plainPathError(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("it is not in PEM form")
	}
	return parsePrivateKey(block.Bytes)
}

// parsePrivateKey reads what opendkim-genkey (PKCS #1) or openssl (PKCS #8)
// write. What they say of a bad key may quote it, so it is left out.
func parsePrivateKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if signer, ok := key.(crypto.Signer); ok && err == nil {
		return signer, nil
	}
	return nil, errors.New("it holds no RSA or Ed25519 key")
}

// From implements Mailer.
func (m *SMTPMailer) From() string { return m.from }

// Signer implements MailSigner.
func (m *SMTPMailer) Signer() *mail.DKIM { return m.signer.Load() }

// Send implements Mailer.
func (m *SMTPMailer) Send(ctx context.Context, from, to string, message []byte) error {
	transport := m.transport.Load()
	if transport == nil {
		return errNotStarted
	}
	return transport.Send(ctx, from, to, message)
}

// Status implements RelayMailer.
func (m *SMTPMailer) Status() []failover.Status {
	if transport := m.transport.Load(); transport != nil {
		return transport.Status()
	}
	return nil
}

// CannotCarry implements Carrier.
func (m *SMTPMailer) CannotCarry(ctx context.Context, to string) bool {
	transport := m.transport.Load()
	return transport != nil && transport.CannotCarry(ctx, to)
}

// Check implements RelayMailer.
func (m *SMTPMailer) Check(ctx context.Context) []mail.Finding {
	transport := m.transport.Load()
	_, sender, err := mail.Sender(m.from)
	if transport == nil || err != nil {
		return nil
	}
	return transport.Check(ctx, sender)
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
//		server             <host:port>
//		tls                starttls|tls|none
//		allow_plaintext    on|off
//		username           <name>
//		password           <password>
//		auth               auto|plain|login|scram-sha-256|scram-sha-256-plus|xoauth2|oauthbearer
//		token_file         <path>
//		from               <mailbox>
//		helo               <name>
//		timeout            <duration>
//		ca_file            <path>
//		tls_server_name    <name>
//		client_certificate <certificate> <key>
//		max_connections    <n>
//		rate               <messages per second>
//		dkim               <domain> <selector> <key-file>
//		relay              <host:port> {
//			... the same, without from, dkim and relay
//		}
//	}
func (m *SMTPMailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return errArgs
	}
	own := options{
		"server": oneArg(d, &m.Server),
		"from":   oneArg(d, &m.Sender),
		"dkim": func() error {
			m.DKIM = new(DKIM)
			if !d.AllArgs(&m.DKIM.Domain, &m.DKIM.Selector, &m.DKIM.KeyFile) {
				return errArgs
			}
			return nil
		},
		"relay": func() error { return m.readRelay(d) },
	}
	maps.Copy(own, m.options(d))
	return readBlock(d, 0, own)
}

func (m *SMTPMailer) readRelay(d *caddyfile.Dispenser) error {
	r := new(SMTPRelay)
	args := d.RemainingArgs()
	if len(args) != 1 {
		return errArgs
	}
	r.Server = args[0]
	m.Relays = append(m.Relays, r)
	return readBlock(d, d.Nesting(), r.options(d))
}

// Interface guards
var (
	_ Mailer                = (*SMTPMailer)(nil)
	_ RelayMailer           = (*SMTPMailer)(nil)
	_ Carrier               = (*SMTPMailer)(nil)
	_ MailSigner            = (*SMTPMailer)(nil)
	_ Starter               = (*SMTPMailer)(nil)
	_ caddy.Provisioner     = (*SMTPMailer)(nil)
	_ judged                = (*SMTPMailer)(nil)
	_ caddy.CleanerUpper    = (*SMTPMailer)(nil)
	_ caddyfile.Unmarshaler = (*SMTPMailer)(nil)
)
