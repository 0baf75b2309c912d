// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

func init() {
	caddy.RegisterModule(new(FileSMS))
}

// FileSMS writes every message as a JSON file into a folder, and sends nothing.
// It is for trying things out: whoever can read the folder can confirm any
// number.
type FileSMS struct {
	// The folder. It is created with mode 0700. Default: `threepid/sms` in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`

	dir    string
	folder *sms.File
}

// CaddyModule returns the Caddy module information.
func (*FileSMS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.sms.file",
		New: func() caddy.Module { return new(FileSMS) },
	}
}

// judge implements judged.
func (m *FileSMS) judge(e *expander) {
	m.dir = cmp.Or(e.text("path", m.Path), dataPath("sms"))
	m.folder = sms.NewFile(m.dir)
}

// Send implements SMSGateway.
func (m *FileSMS) Send(ctx context.Context, message sms.Message) (sms.Accepted, error) {
	return m.folder.Send(ctx, message)
}

// UnmarshalCaddyfile sets up the sender from Caddyfile tokens. Syntax:
//
//	file {
//		path <folder>
//	}
func (m *FileSMS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return errArgs
	}
	return readBlock(d, d.Nesting(), options{"path": oneArg(d, &m.Path)})
}

// Interface guards
var (
	_ SMSGateway            = (*FileSMS)(nil)
	_ judged                = (*FileSMS)(nil)
	_ caddyfile.Unmarshaler = (*FileSMS)(nil)
)
