// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound is returned by [Txn.Get] for a key that was never set, was
	// deleted, or has expired.
	ErrNotFound = errors.New("key not found")

	// ErrClosed is returned by every method of a closed store. A handler of an
	// unloaded configuration may still be serving a request, so use after
	// Close is an ordinary event, never a panic.
	ErrClosed = errors.New("store is closed")

	// ErrReadOnly is returned by Set and Delete inside [Store.View].
	ErrReadOnly = errors.New("transaction is read-only")

	// ErrInvalidKey is returned for an empty key, a key over [MaxKeySize], or a
	// partition outside the grammar of [Partition.Valid].
	ErrInvalidKey = errors.New("invalid key or partition")

	// ErrTooLarge is returned by Set for a value over [MaxValueSize], and by
	// Update for a transaction that the engine cannot hold.
	ErrTooLarge = errors.New("value or transaction is too large")
)

// Limits that every implementation must accept and may rely on.
const (
	// MaxKeySize bounds a key, in bytes, partition not counted.
	MaxKeySize = 256
	// MaxValueSize bounds a value, in bytes.
	MaxValueSize = 64 << 10
)

// Store keeps expiring key-value pairs, atomically within a partition.
//
// A Store is safe for concurrent use.
type Store interface {
	// View runs fn over a consistent, read-only snapshot of one partition.
	View(ctx context.Context, p Partition, fn func(Txn) error) error

	// Update runs fn and commits what it wrote, all or nothing. An error from
	// fn is returned unchanged (errors.Is works) and nothing is written.
	//
	// Updates of one partition are serializable: two of them that read and
	// write the same key never both start from the same old value. To that end
	// fn may be run more than once, so it must have no effect but on its Txn
	// and on variables that it sets anew on every run. It must be quick and
	// must not call the store, wait or do I/O.
	//
	// When Update returns nil the writes are durable: they survive the death
	// of the process. When ctx ends first Update returns its error; whether
	// the writes happen is then unknown.
	Update(ctx context.Context, p Partition, fn func(Txn) error) error

	// Scan calls fn for every live entry of the partition whose key starts
	// with prefix, in byte order of keys, until fn returns false or an error.
	// It sees a snapshot that may be stale by the time fn runs: whoever acts
	// on an entry checks it again inside Update. The value is only valid
	// during the call.
	Scan(ctx context.Context, p Partition, prefix string, fn func(key string, value []byte) (bool, error)) error

	// Ping reports whether the store can serve: it is cheap, and fails when
	// the store is closed or its backend is out of reach.
	Ping(ctx context.Context) error

	// Close releases the store. It waits for running transactions, and
	// everything after it answers ErrClosed. Closing twice is harmless.
	Close() error
}

// Reader is the half of a [Store] that changes nothing.
type Reader interface {
	// View is that of [Store].
	View(ctx context.Context, p Partition, fn func(Txn) error) error
	// Scan is that of [Store].
	Scan(ctx context.Context, p Partition, prefix string, fn func(key string, value []byte) (bool, error)) error
}

// Txn reads and writes the keys of one partition. It must not be used after
// the function it was given to has returned, nor by another goroutine.
type Txn interface {
	// Get returns a copy of the value of a live key, or ErrNotFound. Within an
	// Update it sees the writes made before it in the same transaction.
	Get(key string) ([]byte, error)

	// Set writes a value that lives until expires (wall clock; resolution one
	// second, an entry may live up to two seconds longer). The zero time
	// means "until deleted". Every Set replaces the expiry too: there is no way to
	// keep the old one by accident. A time in the past deletes the key.
	// The value must not be modified until the transaction has ended.
	Set(key string, value []byte, expires time.Time) error

	// Delete removes a key; one that does not exist is no error.
	Delete(key string) error
}

// Partition names a shard of the key space: one to 32 characters of
// [0-9A-Za-z_-]. Keys of different partitions never collide.
type Partition string

// Valid reports whether p is within the grammar.
func (p Partition) Valid() bool {
	if len(p) == 0 || len(p) > 32 {
		return false
	}
	for i := range len(p) {
		c := p[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// CheckKey returns ErrInvalidKey unless key is one that every store accepts.
func CheckKey(p Partition, key string) error {
	if !p.Valid() || len(key) == 0 || len(key) > MaxKeySize {
		return ErrInvalidKey
	}
	return nil
}
