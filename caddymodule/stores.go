// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

func init() {
	caddy.RegisterModule(new(BadgerStore))
}

// StoreModule is a guest module of the name space threepid.stores. A store
// that is open stays open across reloads: configurations whose modules have
// the same ID and PoolKey share it.
type StoreModule interface {
	caddy.Module

	// PoolKey names what OpenStore would open, in a form that is the same
	// however the configuration spells it. It is called at start and may do
	// I/O.
	PoolKey() (string, error)

	// FixedOptions are the options, besides what is in PoolKey, that cannot
	// change while the store is open, in any form that can be compared. A
	// configuration with different ones for an open store is rejected.
	FixedOptions() string

	// OpenStore opens the store. It is not called while a store of the same
	// PoolKey is open. The logger outlives the configuration.
	OpenStore(logger *zap.Logger) (store.Store, error)
}

// BadgerStore keeps sessions in an embedded database: nothing to install, one
// directory. What it keeps is sealed with the app's keys.
type BadgerStore struct {
	// The directory of the database. It is created with mode 0700. No other
	// process may use it at the same time. Default: `threepid/store` in Caddy's
	// data directory.
	Path string `json:"path,omitempty"`

	dir string
}

// CaddyModule returns the Caddy module information.
func (*BadgerStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.stores.badger",
		New: func() caddy.Module { return new(BadgerStore) },
	}
}

// judge implements judged: the path may be that of a directory, or of nothing yet.
func (b *BadgerStore) judge(e *expander) {
	b.dir = cmp.Or(e.text("path", b.Path), dataPath("store"))
	if e.draft {
		return
	}
	if info, err := os.Stat(b.dir); err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		e.failf("path %s: is not a directory", b.dir)
	}
}

// PoolKey implements StoreModule.
func (b *BadgerStore) PoolKey() (string, error) { return canonicalDir(b.dir) }

// FixedOptions implements StoreModule. There are none besides the directory.
func (*BadgerStore) FixedOptions() string { return "" }

// OpenStore implements StoreModule.
func (b *BadgerStore) OpenStore(logger *zap.Logger) (store.Store, error) {
	dir, err := canonicalDir(b.dir)
	if err != nil {
		return nil, err
	}
	return badgerstore.Open(badgerstore.Options{Dir: dir, Logger: logger})
}

// look implements looker.
func (b *BadgerStore) look() (*badgerstore.Reader, error) {
	dir, err := canonicalDir(b.dir)
	if err != nil {
		return nil, err
	}
	return badgerstore.Look(badgerstore.Options{Dir: dir})
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	badger {
//		path <directory>
//	}
func (b *BadgerStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return errArgs
	}
	return readBlock(d, 0, options{"path": oneArg(d, &b.Path)})
}

// canonicalDir is the one path of a directory that may not exist yet: symbolic
// links are resolved as far as there is something to resolve. Two spellings of
// one directory must not be two keys of the pool, or the second is locked out.
func canonicalDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find directory: %w", err)
	}
	missing := ""
	for existing := abs; ; existing = filepath.Dir(existing) {
		resolved, err := filepath.EvalSymlinks(existing)
		if err == nil {
			return filepath.Join(resolved, missing), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || existing == filepath.Dir(existing) {
			return "", fmt.Errorf("find directory: %w", err)
		}
		missing = filepath.Join(filepath.Base(existing), missing)
	}
}

// Interface guards
var (
	_ StoreModule           = (*BadgerStore)(nil)
	_ looker                = (*BadgerStore)(nil)
	_ judged                = (*BadgerStore)(nil)
	_ caddyfile.Unmarshaler = (*BadgerStore)(nil)
)
