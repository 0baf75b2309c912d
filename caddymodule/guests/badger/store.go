// SPDX-License-Identifier: Apache-2.0

// Package badger is the guest module threepid.stores.badger.
package badger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

func init() {
	caddy.RegisterModule(new(Store))
}

// Store keeps sessions in an embedded database: nothing to install, one
// directory. What it keeps is sealed with the app's keys.
type Store struct {
	// The directory of the database. It is created with mode 0700. No other
	// process may use it at the same time. Default: `threepid/store` in Caddy's
	// data directory.
	Path string `json:"path,omitempty"`

	dir string
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.stores.badger",
		New: func() caddy.Module { return new(Store) },
	}
}

// Judge implements config.Judged: the path may be that of a directory, or of nothing yet.
func (b *Store) Judge(e *config.Expander) {
	b.dir = cmp.Or(e.Text("path", b.Path), config.DataPath("store"))
	if e.Draft {
		return
	}
	if info, err := os.Stat(b.dir); err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		e.Failf("path %s: is not a directory", b.dir)
	}
}

func (b *Store) PoolKey() (string, error) { return CanonicalDir(b.dir) }

// FixedOptions implements guest.Store. There are none besides the directory.
func (*Store) FixedOptions() string { return "" }

func (b *Store) OpenStore(logger *zap.Logger) (store.Store, error) {
	dir, err := CanonicalDir(b.dir)
	if err != nil {
		return nil, err
	}
	opened, err := badgerstore.Open(badgerstore.Options{Dir: dir, Logger: logger})
	if err != nil {
		return nil, inWords(err)
	}
	return open{opened}, nil
}

// open is the store as the contract has it.
type open struct{ *badgerstore.Store }

func (o open) WriteBackup(ctx context.Context, w io.Writer) error {
	_, err := o.Backup(ctx, w)
	return err
}

func (b *Store) Folder() string { return b.dir }

func (b *Store) Free() (uint64, error) { return badgerstore.FreeSpace(b.dir) }

func (b *Store) Look() (guest.View, error) {
	dir, err := CanonicalDir(b.dir)
	if err != nil {
		return nil, err
	}
	reader, err := badgerstore.Look(badgerstore.Options{Dir: dir})
	if err != nil {
		return nil, inWords(err)
	}
	return reader, nil
}

// embeddedError is an error of the database that the contract has a name for.
type embeddedError struct {
	error
	as error
}

// Unwrap gives access to both.
func (e *embeddedError) Unwrap() []error { return []error{e.error, e.as} }

// inWords gives an error its name in the contract, and leaves its text as it is.
func inWords(err error) error {
	for own, as := range map[error]error{
		badgerstore.ErrInUse: guest.ErrInUse, badgerstore.ErrNone: guest.ErrNone, badgerstore.ErrNotClosed: guest.ErrNotClosed,
	} {
		if errors.Is(err, own) {
			return &embeddedError{err, as}
		}
	}
	return err
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	badger {
//		path <directory>
//	}
func (b *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return config.ErrArgs
	}
	return config.ReadBlock(d, 0, config.Options{"path": config.OneArg(d, &b.Path)})
}

// CanonicalDir is the one path of a directory that may not exist yet: symbolic
// links are resolved as far as there is something to resolve. Two spellings of
// one directory must not be two keys of the pool, or the second is locked out.
func CanonicalDir(dir string) (string, error) {
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
	_ guest.Store           = (*Store)(nil)
	_ guest.Embedded        = (*Store)(nil)
	_ store.Backuper        = open{}
	_ store.Compacter       = open{}
	_ config.Judged         = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
