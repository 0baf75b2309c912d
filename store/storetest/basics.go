// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func testBasics(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"MissingKey", func(f *fixture) {
			f.wantMissing(part, "never-set")
		}},
		{"SetAndGet", func(f *fixture) {
			f.set(part, "key", "value", time.Time{})
			f.want(part, "key", "value")
		}},
		{"Overwrite", func(f *fixture) {
			f.set(part, "key", "a long value", time.Time{})
			f.set(part, "key", "short", time.Time{})
			f.want(part, "key", "short")
		}},
		{"EmptyValue", func(f *fixture) {
			f.set(part, "key", "", time.Time{})
			f.want(part, "key", "")
		}},
		{"BinaryKeyAndValue", func(f *fixture) {
			f.set(part, "\x00/\xff{}:", "\x00\xff\n", time.Time{})
			f.want(part, "\x00/\xff{}:", "\x00\xff\n")
			f.wantMissing(part, "\x00/\xff{}")
		}},
		{"Delete", func(f *fixture) {
			f.set(part, "key", "value", time.Time{})
			f.set(part, "other", "value", time.Time{})
			f.delete(part, "key")
			f.wantMissing(part, "key")
			f.want(part, "other", "value")
		}},
		{"DeleteMissing", func(f *fixture) {
			f.delete(part, "never-set") // must not be an error
			f.wantMissing(part, "never-set")
		}},
		{"SetAfterDelete", func(f *fixture) {
			f.set(part, "key", "first", time.Time{})
			f.delete(part, "key")
			f.set(part, "key", "second", time.Time{})
			f.want(part, "key", "second")
		}},
		{"GetReturnsCopy", testGetReturnsCopy},
		{"SetTakesCopy", testSetTakesCopy},
		{"Ping", func(f *fixture) {
			if err := f.store.Ping(f.Context()); err != nil {
				f.Errorf("Ping() = %v", err)
			}
		}},
	})
}

func testGetReturnsCopy(f *fixture) {
	spoil := func(tx store.Txn) error {
		got, err := tx.Get("key")
		for i := range got {
			got[i] = 'x'
		}
		_ = append(got, "xxxx"...)
		return err
	}
	f.set(part, "key", "value", time.Time{})
	if err := f.store.View(f.Context(), part, spoil); err != nil {
		f.Fatalf("View() = %v", err)
	}
	f.update(part, spoil)
	f.want(part, "key", "value")

	f.update(part, func(tx store.Txn) error { // of a write in the same transaction
		return errors.Join(tx.Set("key", []byte("again"), time.Time{}), spoil(tx))
	})
	f.want(part, "key", "again")
}

// The contract lets the caller use the buffer again when Update has returned.
func testSetTakesCopy(f *fixture) {
	buf := []byte("value")
	f.update(part, func(tx store.Txn) error { return tx.Set("key", buf, time.Time{}) })
	copy(buf, "xxxxx")
	f.want(part, "key", "value")
}

func testLimits(t *testing.T, c *suite) {
	longest := strings.Repeat("k", store.MaxKeySize)
	largest := strings.Repeat("v", store.MaxValueSize)
	c.runAll(t, []test{
		{"LongestKey", func(f *fixture) {
			p := store.Partition(strings.Repeat("p", 32))
			f.set(p, longest, "value", time.Time{})
			f.want(p, longest, "value")
			f.wantMissing(p, longest[1:])
		}},
		{"LargestValue", func(f *fixture) {
			f.set(part, "key", largest, time.Time{})
			f.want(part, "key", largest)
		}},
		{"SeveralLargestValues", func(f *fixture) {
			f.update(part, func(tx store.Txn) error {
				return errors.Join(tx.Set("a", []byte(largest), time.Time{}), tx.Set("b", []byte(largest), time.Time{}),
					tx.Set("c", []byte(largest), time.Time{}), tx.Set("d", []byte(largest), time.Time{}))
			})
			f.want(part, "a", largest)
			f.want(part, "d", largest)
		}},
		{"ValueTooLarge", func(f *fixture) {
			err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
				return tx.Set("key", []byte(largest+"v"), time.Time{})
			})
			if !errors.Is(err, store.ErrTooLarge) {
				f.Errorf("Set(%d bytes) = %v, want %v", len(largest)+1, err, store.ErrTooLarge)
			}
			f.wantMissing(part, "key")
		}},
		{"InvalidKey", func(f *fixture) {
			for _, key := range []string{"", longest + "k"} {
				testInvalidKey(f, key)
			}
		}},
		{"InvalidPartition", func(f *fixture) {
			for _, p := range []store.Partition{"", "a/b", "{a}", "a b", store.Partition(strings.Repeat("p", 33))} {
				testInvalidPartition(f, p)
			}
		}},
	})
}

func testInvalidKey(f *fixture, key string) {
	check := func(what string, err error) {
		if !errors.Is(err, store.ErrInvalidKey) {
			f.Errorf("%s with a key of %d bytes = %v, want %v", what, len(key), err, store.ErrInvalidKey)
		}
	}
	err := f.store.View(f.Context(), part, func(tx store.Txn) error {
		_, err := tx.Get(key)
		return err
	})
	check("View: Get", err)
	f.update(part, func(tx store.Txn) error {
		_, err := tx.Get(key)
		check("Update: Get", err)
		check("Set", tx.Set(key, nil, time.Time{}))
		check("Set in the past", tx.Set(key, nil, f.now().Add(-time.Hour)))
		check("Delete", tx.Delete(key))
		return nil
	})
}

func testInvalidPartition(f *fixture, p store.Partition) {
	called := false
	fn := func(store.Txn) error { called = true; return nil }
	ops := map[string]error{
		"View":   f.store.View(f.Context(), p, fn),
		"Update": f.store.Update(f.Context(), p, fn),
		"Scan": f.store.Scan(f.Context(), p, "", func(string, []byte) (bool, error) {
			called = true
			return true, nil
		}),
	}
	for op, err := range ops {
		if !errors.Is(err, store.ErrInvalidKey) {
			f.Errorf("%s(%q) = %v, want %v", op, p, err, store.ErrInvalidKey)
		}
	}
	if called {
		f.Errorf("function ran for partition %q", p)
	}
}
