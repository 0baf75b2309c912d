// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"cmp"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"
)

// Defaults of [Options].
const (
	DefaultJanitorInterval = 5 * time.Minute
	DefaultCompactMinSize  = 64 << 20
	DefaultCompactEvery    = time.Hour
	DefaultMinFreeSpace    = 64 << 20
)

// Options says where the database lives. Everything but Dir has a default,
// which the zero value selects; a negative value switches the feature off.
type Options struct {
	// Dir is the directory of the database, canonicalised by the caller. It is
	// created with mode 0700 if it does not exist, and no other process may
	// have it open.
	Dir string

	// Logger receives the messages of the store and of Badger. Default: none.
	Logger *zap.Logger

	// Clock decides what has expired. Default: time.Now. It must not run
	// behind the real clock by more than what it showed at the time of writing:
	// Badger drops what has outlived its TTL in real time.
	Clock func() time.Time

	// JanitorInterval is the time between two rounds of housekeeping. Negative:
	// there are none.
	JanitorInterval time.Duration

	// CompactMinSize is the size of the tables, in bytes, below which
	// housekeeping never rewrites them.
	CompactMinSize int64

	// CompactEvery is the least time between two rounds of housekeeping that
	// measure and possibly rewrite the tables. Negative: no limit.
	CompactEvery time.Duration

	// MinFreeSpace is the free space on the disk, in bytes, below which updates
	// fail with ENOSPC. Badger writes through memory maps, where a full disk is
	// a fatal signal (SIGBUS) and not an error: it must not come to that.
	MinFreeSpace int64
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("open badger store: no directory given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.JanitorInterval = cmp.Or(o.JanitorInterval, DefaultJanitorInterval)
	o.CompactMinSize = cmp.Or(o.CompactMinSize, DefaultCompactMinSize)
	o.CompactEvery = cmp.Or(o.CompactEvery, DefaultCompactEvery)
	o.MinFreeSpace = cmp.Or(o.MinFreeSpace, DefaultMinFreeSpace)
	return o, nil
}

// badger returns Badger's options, sized for a service that is always on, holds
// a few hundred thousand small entries at most and shares its machine. The
// defaults take seven times the heap and create a sparse file of 2 GiB, which
// breaks naive backups.
func (o Options) badger() badger.Options {
	return badger.DefaultOptions(o.Dir).
		WithLogger(badgerLogger{o.Logger.Named("badger")}).
		// The small memtable makes ordinary traffic compact. 7 MiB is the least
		// that Badger opens with.
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		// Values up to 1 MiB, hence all of ours, never reach the value log.
		WithValueLogFileSize(16 << 20).
		WithBlockCacheSize(8 << 20).
		WithIndexCacheSize(4 << 20).
		WithNumCompactors(2).
		WithCompactL0OnClose(true).
		WithNumVersionsToKeep(1).
		WithCompression(options.Snappy).
		// One writer cannot conflict with itself.
		WithDetectConflicts(false).
		WithSyncWrites(true)
}
