// SPDX-License-Identifier: Apache-2.0

package store

import "context"

// Reader is the half of a [Store] that changes nothing.
type Reader interface {
	// View is that of [Store].
	View(ctx context.Context, p Partition, fn func(Txn) error) error
	// Scan is that of [Store].
	Scan(ctx context.Context, p Partition, prefix string, fn func(key string, value []byte) (bool, error)) error
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
