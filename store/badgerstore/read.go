// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// View implements [store.Store]. It reads what has been committed, beside the
// committer.
func (s *Store) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := s.enter(ctx, p); err != nil {
		return err
	}
	defer s.running.Leave()
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	return fn(&readTxn{partition: p, txn: txn, now: s.opts.Clock()})
}

func (s *Store) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if err := s.enter(ctx, p); err != nil {
		return err
	}
	defer s.running.Leave()
	txn := s.db.NewTransaction(false)
	defer txn.Discard()

	opts := badger.DefaultIteratorOptions
	opts.Prefix = []byte(partitionPrefix(p) + prefix)
	it := txn.NewIterator(opts)
	defer it.Close()
	skip := len(partitionPrefix(p))
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err := s.visit(it.Item(), skip, fn); err != nil || !more {
			return err
		}
	}
	return nil
}

// visit calls fn for a live item. An error of fn passes as it is, one of
// Badger translated.
func (s *Store) visit(item *badger.Item, skip int, fn func(string, []byte) (bool, error)) (more bool, err error) {
	more = true
	var fnErr error
	err = item.Value(func(raw []byte) error {
		value, live, err := decode(raw, s.opts.Clock())
		if !live {
			return err
		}
		more, fnErr = fn(string(item.Key()[skip:]), value)
		return nil
	})
	if err != nil {
		return false, translate("scan badger store", err)
	}
	return more, fnErr
}

// enter checks what an operation can be refused for and counts it, which
// the caller ends (Leave) if the error is nil.
func (s *Store) enter(ctx context.Context, p store.Partition) error {
	if !p.Valid() {
		return store.ErrInvalidKey
	}
	if !s.running.Enter() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		s.running.Leave()
		return err
	}
	return nil
}

// readTxn is the [store.Txn] of a View. Time stands still in a transaction.
type readTxn struct {
	partition store.Partition
	txn       *badger.Txn
	now       time.Time
}

func (tx *readTxn) Get(key string) ([]byte, error) {
	if err := store.CheckKey(tx.partition, key); err != nil {
		return nil, err
	}
	return read(tx.txn, partitionPrefix(tx.partition)+key, tx.now)
}

func (tx *readTxn) Set(string, []byte, time.Time) error { return store.ErrReadOnly }

func (tx *readTxn) Delete(string) error { return store.ErrReadOnly }

// read returns a copy of the value of a live key from Badger.
func read(txn *badger.Txn, fullKey string, now time.Time) ([]byte, error) {
	var raw []byte
	item, err := txn.Get([]byte(fullKey))
	if err == nil {
		raw, err = item.ValueCopy(nil)
	}
	if err != nil {
		return nil, translate("read badger store", err)
	}
	return reveal(raw, now)
}
