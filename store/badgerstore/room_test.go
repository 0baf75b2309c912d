// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func TestUpdateWaitsForRoom(t *testing.T) {
	s, start := openStopped(t)
	fill := func(tx store.Txn) error {
		value := make([]byte, store.MaxValueSize)
		var errs []error
		for i := range 12 {
			errs = append(errs, tx.Set(fmt.Sprint(i), value, time.Time{}))
		}
		return errors.Join(errs...)
	}
	abandon(t, s, "a", fill)
	abandon(t, s, "b", fill) // does not fit beside the first
	if got, want := len(s.queue.gather.writes), 12; got != want {
		t.Errorf("%d writes gathered, want %d", got, want)
	}
	done := make(chan error)
	go func() { done <- s.Update(t.Context(), "c", fill) }()
	start()
	if err := <-done; err != nil {
		t.Errorf("Update() = %v", err)
	}
	for _, p := range []store.Partition{"a", "c"} {
		if _, err := lookup(s, p, "11"); err != nil {
			t.Errorf("Get() in partition %q = %v", p, err)
		}
	}
}

func TestUpdateTooLarge(t *testing.T) {
	s := openTest(t, Options{})
	tests := []struct {
		name    string
		entries int
		size    int
	}{
		{"too many bytes", 40, store.MaxValueSize},
		{"too many entries", 30000, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value := make([]byte, tt.size)
			err := s.Update(t.Context(), "p", func(tx store.Txn) error {
				for i := range tt.entries {
					_ = tx.Set(fmt.Sprint(i), value, time.Time{}) // to ignore it does not help
				}
				return nil
			})
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("Update() = %v, want %v", err, store.ErrTooLarge)
			}
			if got := contents(s, "p", ""); !slices.Equal(got, []string{"scan: <nil>"}) {
				t.Errorf("store holds %d entries, want none", len(got)-1)
			}
		})
	}
}

// Whatever our own accounting lets through, Badger takes as one transaction.
func TestWhatFitsCommits(t *testing.T) {
	s := openTest(t, Options{})
	for _, keySize := range []int{5, store.MaxKeySize} {
		for _, size := range []int{0, 1, 300, 5000, store.MaxValueSize} {
			t.Run(fmt.Sprintf("%d+%d bytes", keySize, size), func(t *testing.T) {
				before := s.db.MaxVersion()
				if err := s.Update(t.Context(), "p", fillUp(keySize, make([]byte, size))); err != nil {
					t.Errorf("Update() = %v", err)
				}
				if got := s.db.MaxVersion() - before; got != 1 {
					t.Errorf("Update() took %d transactions, want 1", got)
				}
			})
		}
	}
}

// fillUp sets as many keys as fit a transaction.
func fillUp(keySize int, value []byte) func(store.Txn) error {
	return func(tx store.Txn) error {
		w := tx.(*writeTxn)
		probe := writeTxn{queue: w.queue, partition: w.partition, writes: make(map[string]entry)}
		key := func(i int) string { return fmt.Sprintf("%0*d", keySize, i) }
		for i := 0; probe.Set(key(i), value, time.Time{}) == nil; i++ {
			if err := w.Set(key(i), value, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	}
}
