// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// openTest opens a store that is closed with the test, in a new directory
// unless there is one.
func openTest(tb testing.TB, opts Options) *Store {
	tb.Helper()
	if opts.Dir == "" {
		opts.Dir = tb.TempDir()
	}
	s, err := Open(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return s
}

// write sets one key; it may be called from any goroutine.
func write(tb testing.TB, s store.Store, p store.Partition, key, value string, expires time.Time) {
	tb.Helper()
	err := s.Update(context.Background(), p, func(tx store.Txn) error {
		return tx.Set(key, []byte(value), expires)
	})
	if err != nil {
		tb.Errorf("Update(%q): Set(%q) = %v", p, key, err)
	}
}

// lookup gets one key.
func lookup(s store.Store, p store.Partition, key string) (value string, err error) {
	err = s.View(context.Background(), p, func(tx store.Txn) error {
		got, err := tx.Get(key)
		value = string(got)
		return err
	})
	return value, err
}
