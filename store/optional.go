// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"io"
)

// What a [Store] may be able to do besides. None of it must be there.

// AsyncUpdater is a [Store] with asynchronous commits: it need not let a caller
// wait for its own writes, when they wait for later ones anyway.
type AsyncUpdater interface {
	// UpdateAsync is Update, but returns as soon as all later updates, of either
	// kind, see what was written. A View or a Scan may see it only when it is
	// durable, which it is when any Update has returned that began after that,
	// and when the store was closed; until then the death of the process may undo
	// it, together with everything that came after it.
	UpdateAsync(ctx context.Context, p Partition, fn func(Txn) error) error
}

// UpdateAsync is s.UpdateAsync, or s.Update where there is no such thing.
func UpdateAsync(ctx context.Context, s Store, p Partition, fn func(Txn) error) error {
	if async, ok := s.(AsyncUpdater); ok {
		return async.UpdateAsync(ctx, p, fn)
	}
	return s.Update(ctx, p, fn)
}

// Emptier is a [Store], or a [Reader], that knows by itself whether there is
// anything in it, whatever the partition is called.
type Emptier interface {
	// Empty reports whether no partition has a live entry.
	Empty(ctx context.Context) (bool, error)
}

// Empty is r.Empty, or a look into the partitions that are named where there is
// no such thing.
func Empty(ctx context.Context, r Reader, partitions ...Partition) (bool, error) {
	if own, ok := r.(Emptier); ok {
		return own.Empty(ctx)
	}
	for _, p := range partitions {
		empty := true
		err := r.Scan(ctx, p, "", func(string, []byte) (bool, error) {
			empty = false
			return false, nil
		})
		if err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}

// Backuper is a [Store] that can be backed up while it serves.
type Backuper interface {
	// WriteBackup writes what the store holds at this moment, all of the same
	// moment. Whoever reads it can tell if it is not whole.
	WriteBackup(ctx context.Context, w io.Writer) error
}

// Compacter is a [Store] whose files keep what was deleted until it is asked.
type Compacter interface {
	// Compact takes out of the files what is deleted.
	Compact(ctx context.Context) error
}
