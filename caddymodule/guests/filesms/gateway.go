// SPDX-License-Identifier: Apache-2.0

// Package filesms is the guest module threepid.sms.file.
package filesms

import (
	"cmp"
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

func init() {
	caddy.RegisterModule(new(Gateway))
}

// Gateway writes every message as a JSON file into a folder, and sends nothing.
// It is for trying things out: whoever can read the folder can confirm any
// number.
type Gateway struct {
	// The folder. It is created with mode 0700. Default: `threepid/sms` in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`

	dir    string
	folder *sms.File
}

// CaddyModule returns the Caddy module information.
func (*Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.sms.file",
		New: func() caddy.Module { return new(Gateway) },
	}
}

func (m *Gateway) Judge(e *config.Expander) {
	m.dir = cmp.Or(e.Text("path", m.Path), config.DataPath("sms"))
	m.folder = sms.NewFile(m.dir)
}

func (m *Gateway) Send(ctx context.Context, message guest.SMS) (string, error) {
	taken, err := m.folder.Send(ctx, sms.Message{
		ID: message.ID, To: message.To, From: message.From, Text: message.Text, Unicode: message.Unicode, Segments: message.Segments,
		Repeat: message.Repeat, ReceiptURL: message.ReceiptURL,
	})
	return taken.ID, err
}

func (m *Gateway) Folder() string { return m.dir }

// UnmarshalCaddyfile sets up the sender from Caddyfile tokens. Syntax:
//
//	file {
//		path <folder>
//	}
func (m *Gateway) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return config.ErrArgs
	}
	return config.ReadBlock(d, d.Nesting(), config.Options{"path": config.OneArg(d, &m.Path)})
}

// Interface guards
var (
	_ guest.SMSGateway      = (*Gateway)(nil)
	_ guest.Folder          = (*Gateway)(nil)
	_ config.Judged         = (*Gateway)(nil)
	_ caddyfile.Unmarshaler = (*Gateway)(nil)
)
