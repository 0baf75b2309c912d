// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
)

var (
	// ErrNone is returned by [Look] for a folder in which there is no database
	// yet, or that does not exist.
	ErrNone = errors.New("there is no badger store yet")

	// ErrNotClosed is returned by [Look] for a database that was open when its
	// process died, or, where the system cannot tell, that still is. Only [Open],
	// which mends what is left, can read it.
	ErrNotClosed = errors.New("badger store was not closed")
)

// errTorn is said of a folder that has lost its list of tables. Badger would
// make a new list, and delete every table that is not in it.
var errTorn = errors.New("there are tables, but the file MANIFEST that lists them is missing")

// readsOnly is whether Badger can open a database without writing to it.
const readsOnly = runtime.GOOS != "windows" && runtime.GOOS != "plan9"

// Reader reads a database of which it changes nothing. Make one with [Look].
type Reader struct{ s *Store }

// Look opens a database to look into it. No file in its folder is made, changed
// or removed. Nobody can open the database meanwhile, but others can look.
func Look(opts Options) (*Reader, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkFiles(opts.Dir); err != nil {
		return nil, err
	}
	db, err := badger.Open(opts.badger().WithReadOnly(true))
	if err != nil {
		return nil, translateOpen(opts.Dir, err)
	}
	return &Reader{&Store{opts: opts, db: db}}, nil
}

// checkFiles finds out whether a folder has a database that can be looked into.
func checkFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("look into badger store: %w", err)
	}
	var listed, tables, logs bool
	for _, e := range entries {
		switch {
		case e.Name() == badger.ManifestFilename:
			listed = true
		case filepath.Ext(e.Name()) == ".sst":
			tables = true
		case filepath.Ext(e.Name()) == ".mem": // is written into the tables when the database is closed
			logs = true
		}
	}
	switch {
	case tables && !listed:
		return fmt.Errorf("look into badger store in %q: %w", dir, errTorn)
	case logs, listed && !readsOnly:
		return notClosed(dir)
	case !listed:
		return ErrNone
	}
	return nil
}

// notClosed is the error for a database that is open, or that was not closed.
func notClosed(dir string) error {
	switch open, err := inUse(dir); {
	case err != nil:
		return fmt.Errorf("look into badger store: %w", err)
	case open:
		return fmt.Errorf("look into badger store in %q: %w", dir, ErrInUse)
	}
	return ErrNotClosed
}

func (r *Reader) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return r.s.View(ctx, p, fn)
}

func (r *Reader) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	return r.s.Scan(ctx, p, prefix, fn)
}

func (r *Reader) Empty(ctx context.Context) (bool, error) { return r.s.Empty(ctx) }

// Close lets others open the database.
func (r *Reader) Close() error {
	r.s.running.Close()
	return translate("close badger store", r.s.db.Close())
}

func (s *Store) Empty(ctx context.Context) (bool, error) {
	if !s.running.Enter() {
		return false, store.ErrClosed
	}
	defer s.running.Leave()
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	now, found := s.opts.Clock(), false
	for it.Rewind(); it.Valid() && !found && ctx.Err() == nil; it.Next() {
		if !ofPartition(it.Item().Key()) {
			continue
		}
		err := it.Item().Value(func(raw []byte) (err error) {
			_, found, err = decode(raw, now)
			return err
		})
		if err != nil {
			return false, translate("look into badger store", err)
		}
	}
	return !found && ctx.Err() == nil, ctx.Err()
}

var (
	_ store.Reader  = (*Reader)(nil)
	_ store.Emptier = (*Reader)(nil)
	_ store.Emptier = (*Store)(nil)
)
