// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(Module))
}

// Module keeps what is stored in one file.
type Module struct {
	// The file. It is created with mode 0600. No other process may use it.
	Path string `json:"path,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.stores.journal", New: func() caddy.Module { return new(Module) }}
}

// Provision refuses what is wrong with the options. It opens nothing.
func (m *Module) Provision(caddy.Context) error {
	if m.Path == "" {
		return errors.New("a journal needs a path")
	}
	return nil
}

// PoolKey is the same for all spellings of the path, and for all links to the file. One to
// a file that is not there is refused: it will have another name when it is.
func (m *Module) PoolKey() (string, error) {
	path, err := filepath.Abs(m.Path)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) { // it will be made
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		return filepath.Join(dir, filepath.Base(path)), err
	}
	return filepath.EvalSymlinks(path)
}

// FixedOptions are none besides the path.
func (*Module) FixedOptions() string { return "" }

// OpenStore opens the file.
func (m *Module) OpenStore(*zap.Logger) (store.Store, error) { return Open(m.Path) }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens.
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "path" {
			return d.Errf("there is no option '%s' here", d.Val())
		}
		if !d.AllArgs(&m.Path) {
			return d.ArgErr()
		}
	}
	return nil
}

// Interface guards
var (
	_ guest.Store           = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
)
