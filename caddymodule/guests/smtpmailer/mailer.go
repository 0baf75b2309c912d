// SPDX-License-Identifier: Apache-2.0

package smtpmailer

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

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

func init() {
	caddy.RegisterModule(new(Mailer))
}

// Mailer sends mail by an SMTP relay, or by several: the next one is used
// while one is out of order. A relay's certificate is always verified, and
// credentials are never sent without TLS.
type Mailer struct {
	Relay

	// The sender's mailbox, an address or `Name <address>`. Required.
	Sender string `json:"from,omitempty"`

	// Further relays, in the order in which they are tried.
	Relays []*Relay `json:"relays,omitempty"`

	// Signs mail, for where the relay does not. Default: mail is not signed.
	DKIM *DKIM `json:"dkim,omitempty"`

	logger    *zap.Logger
	from      string
	dkim      DKIM                       // resolved
	signer    atomic.Pointer[guest.DKIM] // nil: mail is not signed
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
func (*Mailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.mailers.smtp",
		New: func() caddy.Module { return new(Mailer) },
	}
}

// all are the relays in their order.
func (m *Mailer) all() []*Relay {
	return append([]*Relay{&m.Relay}, m.Relays...)
}

// Provision sets the mailer up. Its options are judged together with the app's.
func (m *Mailer) Provision(ctx caddy.Context) error {
	m.logger = ctx.Logger()
	return nil
}

func (m *Mailer) Judge(e *config.Expander) {
	m.Relay.Judge(e)
	for _, r := range m.Relays {
		r.Judge(e.In("relay " + r.Server))
	}
	if m.from = input.Trim(e.Text("from", m.Sender)); m.from == "" && m.Sender == "" {
		e.Failf("from: is required; write: from noreply@example.org")
	}
	if k := m.DKIM; k != nil {
		m.dkim = DKIM{Domain: e.Text("dkim", k.Domain), Selector: e.Text("dkim", k.Selector), KeyFile: e.Text("dkim", k.KeyFile)}
		m.judgeDKIM(e)
	}
}

// judgeDKIM reads the key.
func (m *Mailer) judgeDKIM(e *config.Expander) {
	k := m.DKIM
	if k.Domain == "" || k.Selector == "" || k.KeyFile == "" {
		e.Failf("dkim: needs a domain, a selector and a key file; write: dkim example.org mail2026 /etc/caddy/dkim.pem")
		return
	}
	signer := &mail.DKIM{Domain: m.dkim.Domain, Selector: m.dkim.Selector}
	if e.Draft {
		e.Fail(signer.CheckNames())
		return
	}
	var err error
	if signer.Signer, err = m.dkim.open(); err != nil {
		e.Failf("dkim %s: %w", m.dkim.KeyFile, err)
		return
	}
	if err := signer.Validate(); err != nil {
		e.Fail(err)
		return
	}
	m.signer.Store(&guest.DKIM{Domain: signer.Domain, Selector: signer.Selector, Key: signer.Signer})
}

func (m *Mailer) Start() error {
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
func (m *Mailer) changed(s failover.Status) {
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
		return nil, config.PlainPathError(err)
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

func (m *Mailer) From() string { return m.from }

func (m *Mailer) Signer() *guest.DKIM { return m.signer.Load() }

func (m *Mailer) Send(ctx context.Context, from, to string, message []byte) error {
	transport := m.transport.Load()
	if transport == nil {
		return errNotStarted
	}
	return transport.Send(ctx, from, to, message)
}

func (m *Mailer) Status() []guest.RelayStatus {
	transport := m.transport.Load()
	if transport == nil {
		return nil
	}
	all := []guest.RelayStatus{}
	for _, s := range transport.Status() {
		all = append(all, guest.RelayStatus{
			Name: s.Name, State: s.State, Failing: s.Failing(), RetryAt: s.RetryAt, LastError: s.LastError, LastErrorAt: s.LastErrorAt,
			LastReply: s.LastReply, LastSuccess: s.LastSuccess, Sent: s.Sent, Refused: s.Refused, Failed: s.Failed,
			Uncertain: s.Uncertain, InFlight: s.InFlight,
		})
	}
	return all
}

func (m *Mailer) CannotCarry(ctx context.Context, to string) bool {
	transport := m.transport.Load()
	return transport != nil && transport.CannotCarry(ctx, to)
}

func (m *Mailer) Check(ctx context.Context) []guest.Finding {
	transport := m.transport.Load()
	_, sender, err := mail.Sender(m.from)
	if transport == nil || err != nil {
		return nil
	}
	var found []guest.Finding
	for _, f := range transport.Check(ctx, sender) {
		found = append(found, guest.Finding(f))
	}
	return found
}

// Cleanup closes idle connections; those in use end with their message.
func (m *Mailer) Cleanup() error {
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
func (m *Mailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return config.ErrArgs
	}
	own := config.Options{
		"server": config.OneArg(d, &m.Server),
		"from":   config.OneArg(d, &m.Sender),
		"dkim": func() error {
			m.DKIM = new(DKIM)
			if !d.AllArgs(&m.DKIM.Domain, &m.DKIM.Selector, &m.DKIM.KeyFile) {
				return config.ErrArgs
			}
			return nil
		},
		"relay": func() error { return m.readRelay(d) },
	}
	maps.Copy(own, m.options(d))
	return config.ReadBlock(d, 0, own)
}

func (m *Mailer) readRelay(d *caddyfile.Dispenser) error {
	r := new(Relay)
	args := d.RemainingArgs()
	if len(args) != 1 {
		return config.ErrArgs
	}
	r.Server = args[0]
	m.Relays = append(m.Relays, r)
	return config.ReadBlock(d, d.Nesting(), r.options(d))
}

// Interface guards
var (
	_ guest.Mailer          = (*Mailer)(nil)
	_ guest.Relays          = (*Mailer)(nil)
	_ guest.Carrier         = (*Mailer)(nil)
	_ guest.Signer          = (*Mailer)(nil)
	_ guest.Starter         = (*Mailer)(nil)
	_ caddy.Provisioner     = (*Mailer)(nil)
	_ config.Judged         = (*Mailer)(nil)
	_ caddy.CleanerUpper    = (*Mailer)(nil)
	_ caddyfile.Unmarshaler = (*Mailer)(nil)
)
