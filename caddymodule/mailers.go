// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// Mailer is a guest module of the name space threepid.mailers.
//
// A mailer belongs to one configuration. If it implements [Starter], Start is
// called when the configuration starts. Provision must change nothing and call
// nobody, because `caddy validate` runs beside a running server; what it can find
// out without that, it should.
type Mailer interface {
	// From is the sender's mailbox, "Name <address>" or an address. It is
	// known after Provision and does not change.
	From() string

	// Send delivers one composed message (RFC 5322, CRLF) to one bare address.
	// It is never called inside a request, and several calls may run at once.
	// It ends when ctx does.
	//
	// An error that has a method Temporary() bool returning true is tried
	// again until the message expires; any other is final. Errors are logged:
	// their text must hold neither the recipient nor the message.
	Send(ctx context.Context, from, to string, message []byte) error
}

// Starter is implemented by mailers that have something to do before they can
// send. An error rejects the configuration, which `caddy validate` has let pass.
type Starter interface {
	Start() error
}

// RelayMailer is implemented by mailers that have relays to tell about.
type RelayMailer interface {
	// Status tells how each relay has done so far.
	Status() []failover.Status
	// Check connects to each relay and tells what it found. It sends nothing.
	Check(ctx context.Context) []mail.Finding
}

// Carrier is implemented by mailers that may know of an address that no mail of
// theirs can go to. A client is waiting for the answer.
type Carrier interface {
	CannotCarry(ctx context.Context, to string) bool
}

// MailSigner is implemented by mailers whose mail is to be signed. Nil means
// that it is not. The signer is known after Start.
type MailSigner interface {
	Signer() *mail.DKIM
}

func init() {
	caddy.RegisterModule(new(FileMailer))
}

// FileMailer writes every mail as an .eml file into a folder, and sends
// nothing. It is for trying things out: whoever can read the folder can
// confirm any address.
type FileMailer struct {
	// The folder. It is created with mode 0700. Default: `threepid/outbox` in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`

	// The sender's mailbox, an address or `Name <address>`. Default:
	// `noreply@localhost`.
	Sender string `json:"from,omitempty"`

	dir, from string
	transport *mail.Dir
}

// CaddyModule returns the Caddy module information.
func (*FileMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.mailers.file",
		New: func() caddy.Module { return new(FileMailer) },
	}
}

// judge implements judged.
func (m *FileMailer) judge(e *expander) {
	m.dir = cmp.Or(e.text("path", m.Path), dataPath("outbox"))
	m.from = cmp.Or(input.Trim(e.text("from", m.Sender)), "noreply@localhost")
	m.transport = mail.NewDir(m.dir)
}

// From implements Mailer.
func (m *FileMailer) From() string { return m.from }

// Send implements Mailer.
func (m *FileMailer) Send(ctx context.Context, from, to string, message []byte) error {
	return m.transport.Send(ctx, from, to, message)
}

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens. Syntax:
//
//	file {
//		path <folder>
//		from <mailbox>
//	}
func (m *FileMailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return errArgs
	}
	return readBlock(d, 0, options{
		"path": oneArg(d, &m.Path),
		"from": oneArg(d, &m.Sender),
	})
}

// Interface guards
var (
	_ Mailer                = (*FileMailer)(nil)
	_ judged                = (*FileMailer)(nil)
	_ caddyfile.Unmarshaler = (*FileMailer)(nil)
)
