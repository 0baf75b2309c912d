// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Breaking is a store of which one single operation fails, for the tests of those
// who use one. It counts the beginning of every call, every Get, Set and Delete of a
// transaction, every entry of a scan, and every commit twice: what fails there has
// not been written, or, which is worse, has been written all the same. Of scans for
// the same in many partitions, one after the other, it counts the first partition.
type Breaking struct {
	store.Store
	// Err is what the one operation says.
	Err error

	mu    sync.Mutex
	count int
	at    int
	broke string
	scans map[string]store.Partition // the first partition, by prefix
}

// OfEveryKind is an error that is also each one that a store may have, but for a client
// that is gone: whoever takes one of them for less than a failure is found out by it.
func OfEveryKind(err error) error {
	return fmt.Errorf("%w, %w, %w, %w", err, store.ErrClosed, store.ErrTooLarge, context.DeadlineExceeded)
}

// Arm makes the n-th operation from here on fail, and none if n is zero.
func (b *Breaking) Arm(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count, b.at, b.broke, b.scans = 0, n, "", map[string]store.Partition{}
}

// Committed is the beginning of what [Breaking.Broke] returns for an update that was
// written although it failed.
const Committed = "committed"

// Broke tells which operation has failed since Arm was called, or nothing.
func (b *Breaking) Broke() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broke
}

// step counts one operation and returns the error if it is the one.
func (b *Breaking) step(operation string, p store.Partition, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count++; b.count != b.at {
		return nil
	}
	b.broke = fmt.Sprintf("%s %s %s", operation, p, key)
	return b.Err
}

func (b *Breaking) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := b.step("view", p, ""); err != nil {
		return err
	}
	return b.Store.View(ctx, p, func(txn store.Txn) error { return fn(breakingTxn{txn, b, p}) })
}

func (b *Breaking) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return b.update(ctx, p, fn, b.Store.Update)
}

func (b *Breaking) UpdateAsync(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return b.update(ctx, p, fn, func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
		return store.UpdateAsync(ctx, b.Store, p, fn)
	})
}

func (b *Breaking) update(ctx context.Context, p store.Partition, fn func(store.Txn) error, run func(context.Context, store.Partition, func(store.Txn) error) error) error {
	if err := b.step("update", p, ""); err != nil {
		return err
	}
	err := run(ctx, p, func(txn store.Txn) error {
		if err := fn(breakingTxn{txn, b, p}); err != nil {
			return err
		}
		return b.step("commit", p, "")
	})
	if err != nil {
		return err
	}
	return b.step(Committed, p, "")
}

func (b *Breaking) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if b.counts(p, prefix) {
		if err := b.step("scan", p, prefix); err != nil {
			return err
		}
	}
	return b.Store.Scan(ctx, p, prefix, func(key string, value []byte) (bool, error) {
		if err := b.step("entry", p, key); err != nil {
			return false, err
		}
		return fn(key, value)
	})
}

// counts reports whether the beginning of a scan is one more operation.
func (b *Breaking) counts(p store.Partition, prefix string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, before := b.scans[prefix]; !before && b.at != 0 {
		b.scans[prefix] = p
	}
	return b.scans[prefix] == p
}

// breakingTxn is a transaction of a [Breaking].
type breakingTxn struct {
	store.Txn
	b *Breaking
	p store.Partition
}

func (t breakingTxn) Get(key string) ([]byte, error) {
	if err := t.b.step("get", t.p, key); err != nil {
		return nil, err
	}
	return t.Txn.Get(key)
}

func (t breakingTxn) Set(key string, value []byte, expires time.Time) error {
	if err := t.b.step("set", t.p, key); err != nil {
		return err
	}
	return t.Txn.Set(key, value, expires)
}

func (t breakingTxn) Delete(key string) error {
	if err := t.b.step("delete", t.p, key); err != nil {
		return err
	}
	return t.Txn.Delete(key)
}
