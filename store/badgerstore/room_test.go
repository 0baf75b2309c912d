// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func TestUpdateWaitsForRoom(t *testing.T) {
	for _, test := range []struct {
		entries, size int
		most          int64
	}{{12, store.MaxValueSize, 1000}, {8, 0, 15}} {
		s, start := openStopped(t)
		s.queue.maxCount = test.most
		fill := setMany(test.entries, test.size)
		abandon(t, s, "a", fill)
		abandon(t, s, "b", fill) // does not fit beside the first
		ctx, cancel := context.WithCancel(t.Context())
		err := s.UpdateAsync(ctx, "b", func(tx store.Txn) error { cancel(); return fill(tx) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("UpdateAsync() without room = %v, want %v", err, context.Canceled)
		}
		if got := len(s.queue.gather.writes); got != test.entries {
			t.Errorf("%d writes gathered, want %d", got, test.entries)
		}
		done := make(chan error)
		go func() { done <- s.Update(t.Context(), "c", fill) }()
		go func() { done <- s.UpdateAsync(t.Context(), "d", fill) }()
		start()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Errorf("Update() = %v", err)
		}
		write(t, s, "last", "key", "value", time.Time{})
		for _, p := range []store.Partition{"a", "c", "d"} {
			if _, err := lookup(s, p, fmt.Sprint(test.entries-1)); err != nil {
				t.Errorf("Get() in partition %q = %v", p, err)
			}
		}
	}
}

// setMany sets so many keys to values of such a size.
func setMany(entries, size int) func(store.Txn) error {
	value := make([]byte, size)
	return func(tx store.Txn) error {
		var errs []error
		for i := range entries {
			errs = append(errs, tx.Set(fmt.Sprint(i), value, time.Time{}))
		}
		return errors.Join(errs...)
	}
}

// TestFailureMakesRoomToo: who waits for room in a batch that ends unwritten tries
// again in the next.
func TestFailureMakesRoomToo(t *testing.T) {
	s, _ := openStopped(t)
	abandon(t, s, "a", setKey("key", "value"))
	s.queue.advance(nil)
	abandon(t, s, "b", setMany(12, store.MaxValueSize))
	b, full, err := s.run(t.Context(), func(tx *writeTxn) error {
		tx.partition = "c"
		return setMany(12, store.MaxValueSize)(tx)
	}, s.queue.signal)
	if !full || err != nil {
		t.Fatalf("run() = full %v, %v, want true", full, err)
	}
	s.queue.advance(errEngine)
	select {
	case <-b.taken:
	default:
		t.Error("it still waits for room")
	}
}

// TestWritingAgainTakesNoMoreRoom, neither in a transaction nor in what gathers.
func TestWritingAgainTakesNoMoreRoom(t *testing.T) {
	s, _ := openStopped(t)
	value := make([]byte, store.MaxValueSize)
	for range 30 {
		abandon(t, s, "p", func(tx store.Txn) error {
			var errs []error
			for range 30 {
				errs = append(errs, tx.Set("key", value, time.Time{}))
			}
			return errors.Join(errs...)
		})
	}
	if got, want := s.queue.gather.cost, newEntry(value, time.Time{}, time.Now()).cost("p/key"); got != want {
		t.Errorf("what gathers costs %d, want the %d of one entry", got, want)
	}
}

// TestGreatestTransaction: what is exactly as large as can be is written, and one
// byte or one entry more is refused.
func TestGreatestTransaction(t *testing.T) {
	s := openTest(t, Options{})
	value := make([]byte, store.MaxValueSize)
	const key = "%05d"
	costs := newEntry(value, time.Time{}, time.Now()).cost("p/00000")
	full, rest := int(s.queue.maxCost/costs), int(s.queue.maxCost%costs)
	for name, test := range map[string]struct {
		entries, last int // the size of all but the last is full, or nothing
		size          int
		want          error
	}{
		"bytes":          {full + 1, rest - int(costs) + len(value), len(value), nil},
		"a byte more":    {full + 1, rest - int(costs) + len(value) + 1, len(value), store.ErrTooLarge},
		"entries":        {int(s.queue.maxCount), 0, 0, nil},
		"one entry more": {int(s.queue.maxCount) + 1, 0, 0, store.ErrTooLarge},
	} {
		err := s.Update(t.Context(), "p", func(tx store.Txn) error {
			for i := range test.entries - 1 {
				if err := tx.Set(fmt.Sprintf(key, i), value[:test.size], time.Time{}); err != nil {
					return fmt.Errorf("set %d: %w", i, err)
				}
			}
			return tx.Set(fmt.Sprintf(key, test.entries-1), value[:test.last], time.Time{})
		})
		if err != test.want { //nolint:errorlint // of the last entry, as it is
			t.Errorf("%s: Update() = %v, want %v", name, err, test.want)
		}
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for i := range s.queue.maxCount + 1 {
		if err := txn.Delete(fmt.Appendf(nil, key, i)); err != nil != (i == s.queue.maxCount) {
			t.Fatalf("Badger says %v of entry %d, want an error of entry %d", err, i, s.queue.maxCount)
		}
	}
}

// TestEndedContexts: whoever comes too late takes no lock that is free, and knows
// what has happened nevertheless.
func TestEndedContexts(t *testing.T) {
	s, _ := openStopped(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.update(ended, func(*writeTxn) error { t.Error("it is run"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("update = %v, want %v", err, context.Canceled)
	}
	happened := make(chan struct{})
	close(happened)
	for range 64 { // a select between two ready cases picks any
		if err := s.queue.acquire(ended); err == nil {
			s.queue.release()
			t.Fatal("the lock was taken")
		}
		if err := wait(ended, happened); err != nil {
			t.Fatalf("wait for what has happened = %v", err)
		}
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := errors.Join(s.queue.acquire(t.Context()), s.queue.acquire(late)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("acquire behind another = %v, want %v", err, context.DeadlineExceeded)
	}
	s.queue.release()
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
			var set, deleted error
			err := s.Update(t.Context(), "p", func(tx store.Txn) error {
				for i := range tt.entries {
					set = tx.Set(fmt.Sprint(i), value, time.Time{}) // to ignore it does not help
				}
				deleted = tx.Delete("key")
				return nil
			})
			if !errors.Is(err, store.ErrTooLarge) || !errors.Is(set, store.ErrTooLarge) || !errors.Is(deleted, store.ErrTooLarge) {
				t.Errorf("Update() = %v, the last Set = %v, Delete = %v, want %v", err, set, deleted, store.ErrTooLarge)
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
		key := func(i int) string { return fmt.Sprintf("%0*d", keySize, i) }
		costs := newEntry(value, time.Time{}, w.now).cost(partitionPrefix(w.partition) + key(0))
		for i := range min(w.queue.maxCount, w.queue.maxCost/costs) {
			if err := w.Set(key(int(i)), value, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	}
}
