// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/delivery/mail"
)

func init() {
	caddy.RegisterModule(new(SMTPMailer))
	caddy.RegisterModule(new(FileMailer))
}

// Mailer is what a module of the namespace threepid.mailers implements. It
// needs no type of ours. Send is given a complete message (RFC 5322) and the
// bare addresses of its envelope; an error with a method Temporary() bool that
// returns true is tried again, any other is final. Error texts are logged, so
// they must not contain addresses.
type Mailer interface {
	// From is the mailbox that mail comes from.
	From() string
	// Send brings one message to one recipient, within ctx.
	Send(ctx context.Context, from, to string, message []byte) error
}

// SMTPMailer sends mail over a relay. The connection is always encrypted and
// the relay's certificate always verified; a relay that does not offer TLS is
// refused, never used in clear.
type SMTPMailer struct {
	// The relay, as host:port. Required. Port 587 goes with `tls` `starttls`,
	// port 465 with `tls` `tls`.
	Server string `json:"server,omitempty"`

	// `starttls` (default), `tls` from the first byte, or `none`, which is only
	// accepted for a relay on this machine.
	TLS string `json:"tls,omitempty"`

	// Log-in at the relay. Use a placeholder such as `{env.SMTP_PASSWORD}` or
	// `{file./run/secrets/smtp}` for the password.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// The mailbox that mail comes from, `Name <address>` or an address.
	// Required.
	FromMailbox string `json:"from,omitempty"`

	// The name that we introduce ourselves by (EHLO): a host name that
	// resolves to this server. Default: the system's host name.
	HELO string `json:"helo,omitempty"`

	// How long one delivery may take. Default: 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// PEM file with the certificate authorities to trust instead of the
	// system's.
	CAFile string `json:"ca_file,omitempty"`

	// The name in the relay's certificate, if it is not the host of `server`.
	TLSServerName string `json:"tls_server_name,omitempty"`

	cfg    mail.SMTPConfig // with everything expanded
	from   string
	caFile string

	mu        sync.Mutex
	transport *mail.SMTP
	closed    bool
}

// CaddyModule returns the Caddy module information.
func (*SMTPMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.mailers.smtp", New: func() caddy.Module { return new(SMTPMailer) }}
}

// Provision expands placeholders. The results stay out of the exported fields,
// which Caddy may log.
func (m *SMTPMailer) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	m.cfg = mail.SMTPConfig{TLS: mail.TLSMode(m.TLS), Timeout: time.Duration(m.Timeout)}
	for _, f := range []struct {
		name, value string
		to          *string
	}{
		{"server", m.Server, &m.cfg.Address},
		{"username", m.Username, &m.cfg.Username},
		{"password", m.Password, &m.cfg.Password},
		{"from", m.FromMailbox, &m.from},
		{"helo", m.HELO, &m.cfg.HELO},
		{"ca_file", m.CAFile, &m.caFile},
		{"tls_server_name", m.TLSServerName, &m.cfg.ServerName},
	} {
		expanded, err := repl.ReplaceOrErr(f.value, true, true)
		if err != nil {
			return fmt.Errorf("mailer smtp: %s: %w", f.name, err)
		}
		*f.to = expanded
	}
	if m.cfg.HELO == "" {
		if name, err := os.Hostname(); err == nil {
			m.cfg.HELO = name
		}
	}
	return nil
}

// Validate checks the configuration without I/O.
func (m *SMTPMailer) Validate() error {
	if err := m.cfg.Validate(); err != nil {
		return fmt.Errorf("mailer smtp: %w", err)
	}
	if _, _, err := mail.Sender(m.from); err != nil {
		return fmt.Errorf("mailer smtp: from: %w", err)
	}
	return nil
}

// From implements Mailer.
func (m *SMTPMailer) From() string { return m.from }

// Send implements Mailer.
func (m *SMTPMailer) Send(ctx context.Context, from, to string, message []byte) error {
	t, err := m.open()
	if err != nil {
		return err
	}
	return t.Send(ctx, from, to, message)
}

// open makes the transport with the first message: it reads a file, which
// Provision must not.
func (m *SMTPMailer) open() (*mail.SMTP, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errReleased
	}
	if m.transport != nil {
		return m.transport, nil
	}
	cfg := m.cfg
	if m.caFile != "" {
		pem, err := os.ReadFile(m.caFile)
		if err != nil {
			return nil, &brokenMailer{fmt.Errorf("read ca_file: %w", err)}
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &brokenMailer{errors.New("ca_file holds no certificate")}
		}
	}
	t, err := mail.NewSMTP(cfg)
	if err != nil {
		return nil, &brokenMailer{err}
	}
	m.transport = t
	return t, nil
}

// brokenMailer is a fault that the operator can mend while mail waits.
type brokenMailer struct{ error }

// Temporary reports that trying again can help.
func (*brokenMailer) Temporary() bool { return true }

// Unwrap gives access to the fault.
func (b *brokenMailer) Unwrap() error { return b.error }

// Close ends the idle connections.
func (m *SMTPMailer) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.transport == nil {
		return nil
	}
	return m.transport.Close()
}

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens. Syntax:
//
//	mailer smtp {
//		server          <host:port>
//		tls             starttls|tls|none
//		username        <name>
//		password        <password>
//		from            <mailbox>
//		helo            <name>
//		timeout         <duration>
//		ca_file         <file>
//		tls_server_name <name>
//	}
func (m *SMTPMailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // smtp
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(d.Nesting()) {
		text := map[string]*string{
			"server": &m.Server, "tls": &m.TLS, "username": &m.Username, "password": &m.Password,
			"from": &m.FromMailbox, "helo": &m.HELO, "ca_file": &m.CAFile, "tls_server_name": &m.TLSServerName,
		}[d.Val()]
		var err error
		switch {
		case text != nil:
			err = once(d, text)
		case d.Val() == "timeout":
			err = onceDuration(d, &m.Timeout)
		default:
			err = d.Errf("unrecognized subdirective '%s' of mailer smtp", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FileMailer writes each mail into a file: on a laptop it is there to be
// read. On a server nobody gets it.
type FileMailer struct {
	// Folder for the `.eml` files; it is made with mode 0700. They hold links
	// that can be used. Default: `threepid/outbox` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	// The mailbox that mail comes from. Default: `threepid@localhost`.
	FromMailbox string `json:"from,omitempty"`

	*mail.Dir
	path string
}

// CaddyModule returns the Caddy module information.
func (*FileMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.mailers.file", New: func() caddy.Module { return new(FileMailer) }}
}

// Provision fills in defaults and expands placeholders.
func (f *FileMailer) Provision(caddy.Context) error {
	f.path = f.Path
	if f.path == "" {
		f.path = filepath.Join(caddy.AppDataDir(), "threepid", "outbox")
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(f.path, true, true)
	if err != nil {
		return fmt.Errorf("mailer file: path: %w", err)
	}
	if f.path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("mailer file: path: %w", err)
	}
	f.Dir = mail.NewDir(f.path)
	return nil
}

// Validate checks the mailbox.
func (f *FileMailer) Validate() error {
	if _, _, err := mail.Sender(f.From()); err != nil {
		return fmt.Errorf("mailer file: from: %w", err)
	}
	return nil
}

// From implements Mailer.
func (f *FileMailer) From() string {
	if f.FromMailbox == "" {
		return "threepid@localhost"
	}
	return f.FromMailbox
}

// Describe is logged at start-up: an operator who forgot to configure a relay
// must be able to find that out.
func (f *FileMailer) Describe() []zap.Field {
	return []zap.Field{zap.String("note", "mail is written to files and not sent"), zap.String("folder", f.path)}
}

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens. Syntax:
//
//	mailer file {
//		path <folder>
//		from <mailbox>
//	}
func (f *FileMailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // file
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(d.Nesting()) {
		var err error
		switch d.Val() {
		case "path":
			err = once(d, &f.Path)
		case "from":
			err = once(d, &f.FromMailbox)
		default:
			err = d.Errf("unrecognized subdirective '%s' of mailer file", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	_ Mailer                = (*SMTPMailer)(nil)
	_ Mailer                = (*FileMailer)(nil)
	_ caddy.Provisioner     = (*SMTPMailer)(nil)
	_ caddy.Validator       = (*SMTPMailer)(nil)
	_ caddyfile.Unmarshaler = (*SMTPMailer)(nil)
	_ caddy.Provisioner     = (*FileMailer)(nil)
	_ caddy.Validator       = (*FileMailer)(nil)
	_ caddyfile.Unmarshaler = (*FileMailer)(nil)
)
