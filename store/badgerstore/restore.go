// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// ErrNotEmpty is returned by [Restore] for a folder in which there is something.
var ErrNotEmpty = errors.New("the folder is not empty, and what is in it is not overwritten")

// RestoreOptions say what to restore.
type RestoreOptions struct {
	// Drop, if set, says which entries to leave out.
	Drop func(p store.Partition, key string) bool
	// Then, if set, is called with the restored store before anybody else can
	// open it. Its error undoes everything.
	Then func(context.Context, store.Store) error
}

// Restored is what became of a backup.
type Restored struct {
	BackupInfo
	// Written, Dropped and Expired are how many of its entries.
	Written, Dropped, Expired int
}

// Restore makes a new database of a backup. opts.Dir must not exist, or be
// empty: nothing is overwritten. It appears there in one step, when all of it is
// on the disk and the checksum was right; a process that dies before leaves a
// folder beside it, which can be removed.
func Restore(ctx context.Context, opts Options, from io.Reader, what RestoreOptions) (Restored, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Restored{}, err
	}
	dir := filepath.Clean(opts.Dir)
	if err := checkEmpty(dir); err != nil {
		return Restored{}, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return Restored{}, fmt.Errorf("make folder to restore into: %w", err)
	}
	opts.Dir, err = os.MkdirTemp(parent, filepath.Base(dir)+".restoring-*")
	if err != nil {
		return Restored{}, fmt.Errorf("make folder to restore into: %w", err)
	}
	defer os.RemoveAll(opts.Dir) // which has another name when all went well
	done, err := fill(ctx, opts, from, what)
	if err != nil {
		return done, err
	}
	// A server may have been started meanwhile. One that starts only now is found
	// out, too: a folder is only removed if it is empty, and there is no rename onto
	// another one. A file would be removed.
	if err = checkEmpty(dir); err == nil {
		err = os.Remove(dir)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(opts.Dir, dir)
	}
	if err != nil {
		return done, fmt.Errorf("place restored store: %w", err)
	}
	return done, syncDir(parent)
}

func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into folder to restore into: %w", err)
	}
	return fmt.Errorf("restore into %q: %w", dir, ErrNotEmpty)
}

// fill writes a backup into a new database and closes it.
func fill(ctx context.Context, opts Options, from io.Reader, what RestoreOptions) (done Restored, err error) {
	s, err := Open(opts) //nolint:contextcheck // its background ends with Close, not with ctx
	if err != nil {
		return done, err
	}
	l := loader{store: s, what: what, done: &done, writes: map[string]entry{}}
	done.BackupInfo, err = readBackup(ctx, from, func(key string, raw []byte) error { return l.add(ctx, key, raw) })
	if err == nil {
		err = l.flush(ctx)
	}
	if err == nil && what.Then != nil {
		err = what.Then(ctx, s)
	}
	return done, errors.Join(err, s.Close())
}

// loader writes entries in pieces that are committed at once.
type loader struct {
	store  *Store
	what   RestoreOptions
	done   *Restored
	writes map[string]entry
	cost   int64
}

// loadAtOnce and loadCost bound a piece.
const (
	loadAtOnce = 1000
	loadCost   = 512 << 10
)

func (l *loader) add(ctx context.Context, key string, raw []byte) error {
	partition, name, _ := strings.Cut(key, separator)
	now := l.store.opts.Clock()
	_, live, _ := decode(raw, now) // long enough, as readBackup has seen
	switch {
	case !live:
		l.done.Expired++
		return nil
	case l.what.Drop != nil && l.what.Drop(store.Partition(partition), name):
		l.done.Dropped++
		return nil
	}
	e := entry{raw: raw, ttl: ttl(unitsOf(raw), now)}
	l.writes[key] = e
	l.cost += e.cost(key)
	l.done.Written++
	if len(l.writes) < loadAtOnce && l.cost < loadCost {
		return nil
	}
	return l.flush(ctx)
}

func (l *loader) flush(ctx context.Context) error {
	err := l.store.update(ctx, func(tx *writeTxn) error {
		for key, e := range l.writes {
			_ = tx.put(key, e) // if it fails, so does the update
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write restored entries: %w", err)
	}
	l.writes, l.cost = map[string]entry{}, 0
	return nil
}

// syncDir makes a new name in a folder survive a power cut, where the system
// can and needs to.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder of restored store: %w", err)
	}
	_ = f.Sync() // not every system lets folders be synced
	return f.Close()
}
