// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// entry is a value with its end; the zero time is none.
type entry struct {
	Value   []byte    `json:"v,omitempty"`
	Expires time.Time `json:"e,omitzero"`
}

func (e entry) live() bool { return e.Expires.IsZero() || time.Now().Before(e.Expires) }

// change is a line of the file: what one update has written, where nil deletes.
type change struct {
	Partition store.Partition   `json:"p"`
	Writes    map[string]*entry `json:"w"`
}

// journal is an open store. Whoever has the token of the lock may use all of it.
type journal struct {
	lock    chan struct{}
	readers sync.WaitGroup // of snapshots
	file    *os.File
	closed  bool
	entries map[store.Partition]map[string]entry
}

// Open opens a file, or makes a new one.
func Open(path string) (store.Store, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{lock: make(chan struct{}, 1), file: file, entries: map[store.Partition]map[string]entry{}}
	if err := j.replay(); err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), file.Close())
	}
	return j, nil
}

// replay reads the file. A last line that was torn by the death of the process is cut
// off: its update was answered to nobody.
func (j *journal) replay() error {
	lines, whole := bufio.NewReader(j.file), int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return j.file.Truncate(whole)
		}
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		whole += int64(len(line))
		j.apply(c)
	}
}

func (j *journal) apply(c change) {
	if j.entries[c.Partition] == nil {
		j.entries[c.Partition] = map[string]entry{}
	}
	for key, e := range c.Writes {
		if e == nil || !e.live() {
			delete(j.entries[c.Partition], key)
		} else {
			j.entries[c.Partition][key] = *e
		}
	}
}

// begin takes the lock, for which nobody waits longer than ctx.
func (j *journal) begin(ctx context.Context, p store.Partition) error {
	if !p.Valid() {
		return store.ErrInvalidKey
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case j.lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if j.closed {
		<-j.lock
		return store.ErrClosed
	}
	return nil
}

// snapshot is a copy of a partition, so that whoever reads it may use the store. They are
// done before it is closed.
func (j *journal) snapshot(ctx context.Context, p store.Partition) (map[string]entry, error) {
	if err := j.begin(ctx, p); err != nil {
		return nil, err
	}
	defer func() { <-j.lock }()
	j.readers.Add(1)
	return maps.Clone(j.entries[p]), nil
}

func (j *journal) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	snapshot, err := j.snapshot(ctx, p)
	if err != nil {
		return err
	}
	defer j.readers.Done()
	return fn(&txn{p: p, base: snapshot})
}

// Update implements store.Store. What it has written is on the disk when it returns.
func (j *journal) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := j.begin(ctx, p); err != nil {
		return err
	}
	defer func() { <-j.lock }()
	tx := &txn{p: p, base: j.entries[p], writes: map[string]*entry{}}
	if err := fn(tx); err != nil || len(tx.writes) == 0 {
		return err
	}
	c := change{p, tx.writes}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.apply(c)
	return nil
}

func (j *journal) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	snapshot, err := j.snapshot(ctx, p)
	if err != nil {
		return err
	}
	defer j.readers.Done()
	for _, key := range slices.Sorted(maps.Keys(snapshot)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e := snapshot[key]; strings.HasPrefix(key, prefix) && e.live() {
			if more, err := fn(key, slices.Clone(e.Value)); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (j *journal) Ping(ctx context.Context) error {
	if err := j.begin(ctx, "ping"); err != nil {
		return err
	}
	<-j.lock
	return nil
}

func (j *journal) Close() error {
	j.lock <- struct{}{}
	closed := j.closed
	j.closed = true
	<-j.lock
	j.readers.Wait()
	if closed {
		return nil
	}
	return j.file.Close()
}

// txn is a transaction; without writes it only reads.
type txn struct {
	p      store.Partition
	base   map[string]entry
	writes map[string]*entry
}

func (tx *txn) Get(key string) ([]byte, error) {
	if err := store.CheckKey(tx.p, key); err != nil {
		return nil, err
	}
	if e, written := tx.writes[key]; written {
		if e == nil || !e.live() {
			return nil, store.ErrNotFound
		}
		return slices.Clone(e.Value), nil
	}
	e, ok := tx.base[key]
	if !ok || !e.live() {
		return nil, store.ErrNotFound
	}
	return append([]byte{}, e.Value...), nil
}

func (tx *txn) Set(key string, value []byte, expires time.Time) error {
	if tx.writes != nil && len(value) > store.MaxValueSize {
		return store.ErrTooLarge
	}
	return tx.write(key, &entry{append([]byte{}, value...), expires.Round(0)})
}

func (tx *txn) Delete(key string) error { return tx.write(key, nil) }

func (tx *txn) write(key string, e *entry) error {
	if tx.writes == nil {
		return store.ErrReadOnly
	}
	if err := store.CheckKey(tx.p, key); err != nil {
		return err
	}
	tx.writes[key] = e
	return nil
}
