// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/internal/drain"
)

// NewMemory returns an empty store that lives in memory, for tests. Entries
// expire exactly when clock says so; a nil clock is time.Now. It starts no
// goroutine and may be left unclosed.
func NewMemory(clock func() time.Time) store.Store {
	if clock == nil {
		clock = time.Now
	}
	return &memory{
		clock:      clock,
		lock:       make(chan struct{}, 1),
		partitions: make(map[store.Partition]map[string]record),
	}
}

// memory is a map behind one lock. The lock is a channel, not a mutex, so that
// a context can end the wait for it.
type memory struct {
	running    drain.Group
	clock      func() time.Time
	lock       chan struct{}
	partitions map[store.Partition]map[string]record
}

// record is one entry; a deleted one occurs only in the writes of a
// transaction. The bytes of value are never modified.
type record struct {
	value   []byte
	expires time.Time
	deleted bool
}

func (r record) live(now time.Time) bool {
	return !r.deleted && (r.expires.IsZero() || now.Before(r.expires))
}

func (m *memory) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	snapshot, err := m.snapshot(ctx, p)
	if err != nil {
		return err
	}
	defer m.running.Leave()
	return fn(&memoryTxn{p: p, now: m.clock(), base: snapshot, readOnly: true})
}

func (m *memory) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := m.begin(ctx, p); err != nil {
		return err
	}
	defer m.running.Leave()
	defer m.unlock()

	tx := &memoryTxn{p: p, now: m.clock(), base: m.partitions[p], writes: make(map[string]record)}
	if err := fn(tx); err != nil {
		return err
	}
	if m.partitions[p] == nil {
		m.partitions[p] = make(map[string]record)
	}
	for key, r := range tx.writes {
		if r.deleted {
			delete(m.partitions[p], key)
		} else {
			m.partitions[p][key] = r
		}
	}
	return nil
}

func (m *memory) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	snapshot, err := m.snapshot(ctx, p)
	if err != nil {
		return err
	}
	defer m.running.Leave()
	for _, key := range slices.Sorted(maps.Keys(snapshot)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := snapshot[key]
		if !strings.HasPrefix(key, prefix) || !r.live(m.clock()) {
			continue
		}
		// A copy: the contract lets fn do what it likes during the call.
		if more, err := fn(key, append([]byte{}, r.value...)); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memory) Ping(ctx context.Context) error {
	if !m.running.Enter() {
		return store.ErrClosed
	}
	defer m.running.Leave()
	return ctx.Err()
}

func (m *memory) Close() error {
	m.running.Close()
	return nil
}

// begin checks the partition, counts the operation and takes the lock.
func (m *memory) begin(ctx context.Context, p store.Partition) error {
	if !p.Valid() {
		return store.ErrInvalidKey
	}
	if !m.running.Enter() {
		return store.ErrClosed
	}
	err := ctx.Err() // a select between two ready cases picks any
	if err == nil {
		select {
		case m.lock <- struct{}{}:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	m.running.Leave()
	return err
}

func (m *memory) unlock() { <-m.lock }

// snapshot returns a copy of the partition, while it is counted but outside the
// lock, so that the reader may call the store.
func (m *memory) snapshot(ctx context.Context, p store.Partition) (map[string]record, error) {
	if err := m.begin(ctx, p); err != nil {
		return nil, err
	}
	defer m.unlock()
	return maps.Clone(m.partitions[p]), nil
}

// memoryTxn reads base under its own writes.
type memoryTxn struct {
	p        store.Partition
	now      time.Time
	base     map[string]record
	writes   map[string]record
	readOnly bool
}

func (tx *memoryTxn) Get(key string) ([]byte, error) {
	if err := store.CheckKey(tx.p, key); err != nil {
		return nil, err
	}
	r, ok := tx.writes[key]
	if !ok {
		r, ok = tx.base[key]
	}
	if !ok || !r.live(tx.now) {
		return nil, store.ErrNotFound
	}
	return append([]byte{}, r.value...), nil
}

func (tx *memoryTxn) Set(key string, value []byte, expires time.Time) error {
	if len(value) > store.MaxValueSize && !tx.readOnly {
		return store.ErrTooLarge
	}
	r := record{value: append([]byte{}, value...), expires: expires.Round(0)}
	r.deleted = !r.live(tx.now)
	return tx.write(key, r)
}

func (tx *memoryTxn) Delete(key string) error {
	return tx.write(key, record{deleted: true})
}

func (tx *memoryTxn) write(key string, r record) error {
	if tx.readOnly {
		return store.ErrReadOnly
	}
	if err := store.CheckKey(tx.p, key); err != nil {
		return err
	}
	tx.writes[key] = r
	return nil
}
