// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bytes"
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Update implements [store.Store]. The function runs in the goroutine of the
// caller, so that a panic of it is the caller's; the writes are committed by
// the committer.
func (s *Store) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := s.enter(ctx, p); err != nil {
		return err
	}
	defer s.running.Leave()
	return s.update(ctx, func(tx *writeTxn) error {
		tx.partition = p
		return fn(tx)
	})
}

// update is Update of an operation that is counted, without the bounds of a partition.
func (s *Store) update(ctx context.Context, fn func(*writeTxn) error) error {
	for {
		b, full, err := s.run(ctx, fn, s.queue.signal)
		switch {
		case b == nil:
			return err
		case full:
			if err := wait(ctx, b.taken); err != nil {
				return err
			}
		default:
			// Even an update that failed or wrote nothing waits: its outcome
			// may follow from writes that could still be lost.
			if err := wait(ctx, b.done); err != nil {
				return err
			}
			if b.err != nil {
				return b.err
			}
			return err
		}
	}
}

// UpdateAsync implements [store.AsyncUpdater]. Batches are committed in order, and one
// that fails takes what gathered behind it along, so nothing that was read from
// these writes can be committed without them.
func (s *Store) UpdateAsync(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := s.enter(ctx, p); err != nil {
		return err
	}
	defer s.running.Leave()
	for {
		b, full, err := s.run(ctx, func(tx *writeTxn) error {
			tx.partition = p
			return fn(tx)
		}, s.queue.signalAsync)
		if !full {
			return err
		}
		if err := wait(ctx, b.taken); err != nil {
			return err
		}
	}
}

// wait waits for a channel to be closed; one that is wins over the context.
func wait(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	default:
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run runs fn on the current state and merges what it wrote into the gathering
// batch, of which signal tells the committer. It returns the batch to wait for, if any, and the error to return
// after that; or, with full set, the batch after which to try again.
func (s *Store) run(ctx context.Context, fn func(*writeTxn) error, signal func()) (b *batch, full bool, err error) {
	q := &s.queue
	if err := q.acquire(ctx); err != nil {
		return nil, false, err
	}
	defer q.release()
	q.openBase()
	// Deferred, as fn may panic.
	defer func() {
		if q.newest() == nil {
			q.closeBase()
		}
	}()

	tx := &writeTxn{queue: q, now: s.opts.Clock(), writes: make(map[string]entry)}
	err = fn(tx)
	if err == nil {
		err = tx.failed
	}
	if err != nil || len(tx.writes) == 0 {
		return q.newest(), false, err
	}
	if !q.fits(len(tx.writes), tx.cost) {
		return q.gather, true, nil
	}
	q.gather.merge(tx.writes)
	signal()
	return q.gather, false, nil
}

// writeTxn is the [store.Txn] of an Update: an overlay of its own, so that an
// error leaves nothing behind. Time stands still in it.
type writeTxn struct {
	queue     *queue
	partition store.Partition
	now       time.Time
	writes    map[string]entry
	cost      int64
	// failed is the error of a write that fn must not get over.
	failed error
}

func (tx *writeTxn) Get(key string) ([]byte, error) {
	if err := store.CheckKey(tx.partition, key); err != nil {
		return nil, err
	}
	fullKey := partitionPrefix(tx.partition) + key
	e, ok := tx.writes[fullKey]
	if !ok {
		e, ok = tx.queue.pending(fullKey)
	}
	if !ok {
		return read(tx.queue.base, fullKey, tx.now)
	}
	if e.raw == nil {
		return nil, store.ErrNotFound
	}
	value, err := reveal(e.raw, tx.now)
	return bytes.Clone(value), err
}

func (tx *writeTxn) Set(key string, value []byte, expires time.Time) error {
	if len(value) > store.MaxValueSize {
		return store.ErrTooLarge
	}
	if !expires.IsZero() && !expires.After(tx.now) {
		return tx.Delete(key)
	}
	if err := store.CheckKey(tx.partition, key); err != nil {
		return err
	}
	return tx.put(partitionPrefix(tx.partition)+key, newEntry(value, expires, tx.now))
}

func (tx *writeTxn) Delete(key string) error {
	if err := store.CheckKey(tx.partition, key); err != nil {
		return err
	}
	return tx.put(partitionPrefix(tx.partition)+key, entry{})
}

// put writes an entry under its full key. A transaction that outgrows what
// Badger commits at once fails for good, or half of it would be committed.
func (tx *writeTxn) put(fullKey string, e entry) error {
	if old, ok := tx.writes[fullKey]; ok {
		tx.cost -= old.cost(fullKey)
	}
	tx.writes[fullKey] = e
	tx.cost += e.cost(fullKey)
	if tx.cost > tx.queue.maxCost || int64(len(tx.writes)) > tx.queue.maxCount {
		tx.failed = store.ErrTooLarge
	}
	return tx.failed
}
