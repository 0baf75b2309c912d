// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

func init() {
	caddy.RegisterModule(new(BadgerStore))
}

// StoreModule is what a module of the namespace threepid.stores implements.
type StoreModule interface {
	// PoolKey names the place of the data in one canonical spelling.
	// Configurations with the same key share one open store.
	PoolKey() (string, error)
	// FixedOptions describes the options that cannot change while the store is
	// open; a configuration that differs in them is refused.
	FixedOptions() string
	// OpenStore opens the store. It is called once per key.
	OpenStore(logger *zap.Logger) (store.Store, error)
}

// BadgerStore keeps sessions in a database within the Caddy process. It is
// durable: a session that a client was told of survives the death of the
// process.
type BadgerStore struct {
	// Folder of the database; it is made with mode 0700. No other process may
	// use it. Default: `threepid/store` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	path string
}

// CaddyModule returns the Caddy module information.
func (*BadgerStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.stores.badger", New: func() caddy.Module { return new(BadgerStore) }}
}

// Provision expands the path.
func (b *BadgerStore) Provision(caddy.Context) error {
	b.path = b.Path
	if b.path == "" {
		b.path = filepath.Join(caddy.AppDataDir(), "threepid", "store")
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(b.path, true, true)
	if err != nil {
		return fmt.Errorf("store path: %w", err)
	}
	if b.path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("store path: %w", err)
	}
	return nil
}

// PoolKey returns the folder with all links resolved. The folder itself may
// not exist yet, so the deepest part of it that does is resolved.
func (b *BadgerStore) PoolKey() (string, error) {
	dir, rest := b.path, ""
	for {
		resolved, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(resolved, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
	}
}

// FixedOptions implements StoreModule; the folder is all there is.
func (*BadgerStore) FixedOptions() string { return "badger" }

// OpenStore implements StoreModule.
func (b *BadgerStore) OpenStore(logger *zap.Logger) (store.Store, error) {
	key, err := b.PoolKey()
	if err != nil {
		return nil, err
	}
	return badgerstore.Open(badgerstore.Options{Dir: key, Logger: logger})
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store badger {
//		path <folder>
//	}
func (b *BadgerStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // badger
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(d.Nesting()) {
		switch d.Val() {
		case "path":
			if err := once(d, &b.Path); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized subdirective '%s' of store badger", d.Val())
		}
	}
	return nil
}

var (
	_ StoreModule           = (*BadgerStore)(nil)
	_ caddy.Provisioner     = (*BadgerStore)(nil)
	_ caddyfile.Unmarshaler = (*BadgerStore)(nil)
)
