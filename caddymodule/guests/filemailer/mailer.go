// SPDX-License-Identifier: Apache-2.0

// Package filemailer is the guest module threepid.mailers.file.
package filemailer

import (
	"cmp"
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

func init() {
	caddy.RegisterModule(new(Mailer))
}

// Mailer writes every mail as an .eml file into a folder, and sends
// nothing. It is for trying things out: whoever can read the folder can
// confirm any address.
type Mailer struct {
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
func (*Mailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.mailers.file",
		New: func() caddy.Module { return new(Mailer) },
	}
}

func (m *Mailer) Judge(e *config.Expander) {
	m.dir = cmp.Or(e.Text("path", m.Path), config.DataPath("outbox"))
	m.from = cmp.Or(input.Trim(e.Text("from", m.Sender)), "noreply@localhost")
	m.transport = mail.NewDir(m.dir)
}

func (m *Mailer) From() string { return m.from }

func (m *Mailer) Send(ctx context.Context, from, to string, message []byte) error {
	return m.transport.Send(ctx, from, to, message)
}

func (m *Mailer) Folder() string { return m.dir }

// UnmarshalCaddyfile sets up the mailer from Caddyfile tokens. Syntax:
//
//	file {
//		path <folder>
//		from <mailbox>
//	}
func (m *Mailer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return config.ErrArgs
	}
	return config.ReadBlock(d, 0, config.Options{
		"path": config.OneArg(d, &m.Path),
		"from": config.OneArg(d, &m.Sender),
	})
}

// Interface guards
var (
	_ guest.Mailer          = (*Mailer)(nil)
	_ guest.Folder          = (*Mailer)(nil)
	_ config.Judged         = (*Mailer)(nil)
	_ caddyfile.Unmarshaler = (*Mailer)(nil)
)
