// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/store"
)

const (
	// compactFactor is how many times larger than their live entries the tables
	// must be to be worth rewriting.
	compactFactor = 4
	// rewriteRounds bounds the attempts to rewrite all tables.
	rewriteRounds = 6
	// paddingSize is that of the values that fill a memtable up.
	paddingSize = 1_000_000
	// flushTimeout and flushPoll are for the wait until a memtable has become a
	// table.
	flushTimeout = 5 * time.Second
	flushPoll    = 5 * time.Millisecond
)

// janitorLoop does the housekeeping until ctx ends, also while nobody uses the
// store.
func (s *Store) janitorLoop(ctx context.Context) {
	tick := time.Tick(s.opts.JanitorInterval)
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		last = s.housekeep(ctx, last)
	}
}

// housekeep is one round of the janitor. It is given the time when the tables
// were last looked at, and returns it.
func (s *Store) housekeep(ctx context.Context, last time.Time) time.Time {
	if !s.oversized() || time.Since(last) < s.opts.CompactEvery {
		return last
	}
	if err := s.tidy(ctx); err != nil && ctx.Err() == nil {
		s.opts.Logger.Warn("cannot reclaim space of expired entries", zap.Error(err))
	}
	return time.Now()
}

// oversized reports whether the tables are large enough to be looked at.
func (s *Store) oversized() bool {
	return s.opts.CompactMinSize >= 0 && s.tableSize() > s.opts.CompactMinSize
}

// tableSize asks the tables: db.Size is up to a minute old.
func (s *Store) tableSize() (size int64) {
	for _, t := range s.db.Tables() {
		size += int64(t.OnDiskSize)
	}
	return size
}

// tidy rewrites the tables if little of them is live.
func (s *Store) tidy(ctx context.Context) error {
	live, err := s.liveSize(ctx)
	if err != nil || s.tableSize() <= compactFactor*live {
		return err
	}
	return s.Compact(ctx)
}

// liveSize estimates the size of what has not expired, uncompressed.
func (s *Store) liveSize(ctx context.Context) (size int64, err error) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		size += it.Item().EstimatedSize()
	}
	return size, nil
}

// Compact rewrites all tables without what has expired or been deleted. The
// store serves meanwhile. The janitor does it by itself when it is worth while;
// this is for measuring and for operators.
func (s *Store) Compact(ctx context.Context) error {
	if !s.running.Enter() {
		return store.ErrClosed
	}
	defer s.running.Leave()
	select {
	case s.compacting <- struct{}{}:
		defer func() { <-s.compacting }()
	case <-ctx.Done():
		return ctx.Err()
	}

	start, before := time.Now(), s.tableSize()
	if err := s.rewrite(ctx); err != nil {
		return err
	}
	s.opts.Logger.Debug("compacted store", zap.Int64("before", before),
		zap.Int64("after", s.tableSize()), zap.Duration("took", time.Since(start)))
	return nil
}

// rewrite compacts until no table is left of those that hold the data of now.
//
// Flatten pushes the upper levels down and rewrites what they overlap. It does
// not touch what overlaps nothing: an idle database, which sits in one level
// whole. So there is always a new table on top of it that spans all keys. One
// round is enough, unless all is in the first level, which Badger leaves alone
// until there are three tables.
func (s *Store) rewrite(ctx context.Context) error {
	var newest uint64
	var failure error
	for round := range rewriteRounds {
		if err := s.rotate(ctx); err != nil {
			return err
		}
		if round == 0 { // a table of a later round holds nothing of now
			for _, t := range s.db.Tables() { // Badger counts them up
				newest = max(newest, t.ID)
			}
		}
		// It fails for tables that come and go meanwhile.
		failure = translate("compact badger store", s.db.Flatten(1))
		if failure == nil && !slices.ContainsFunc(s.db.Tables(), func(t badger.TableInfo) bool { return t.ID <= newest }) {
			return nil
		}
	}
	return cmp.Or(failure, errors.New("compact badger store: old tables remain"))
}

// rotate makes Badger write its memtable to a table that spans all keys, by
// ordinary writes that fill it up. (DropPrefix would do so too, but blocks
// readers until it has compacted.)
func (s *Store) rotate(ctx context.Context) error {
	full, err := s.memtables()
	if err != nil {
		return err
	}
	// Born expired, so that the compaction drops it too.
	padding := entry{raw: make([]byte, paddingSize), ttl: 1}
	for filled := int64(0); filled <= s.db.Opts().MemTableSize; filled += int64(len(padding.raw)) {
		if err := s.pad(ctx, padding); err != nil {
			return err
		}
	}
	// Badger rotates at the write that finds the memtable full.
	if err := s.pad(ctx, entry{}); err != nil {
		return err
	}
	// The table is written in the background. The log of a memtable is removed
	// when that is done, or a little later if a scan holds on to it.
	for deadline := time.Now().Add(flushTimeout); time.Now().Before(deadline); {
		logs, err := s.memtables()
		if err != nil || !slices.ContainsFunc(logs, func(log string) bool { return slices.Contains(full, log) }) {
			return err
		}
		if err := pause(ctx, flushPoll); err != nil {
			return err
		}
	}
	return nil
}

// memtables returns the log files of Badger's memtables.
func (s *Store) memtables() ([]string, error) {
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("list memtables: %w", err)
	}
	var logs []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".mem" {
			logs = append(logs, e.Name())
		}
	}
	return logs, nil
}

func (s *Store) pad(ctx context.Context, first entry) error {
	return s.update(ctx, func(tx *writeTxn) error {
		return errors.Join(tx.put(firstKey, first), tx.put(lastKey, entry{}))
	})
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
