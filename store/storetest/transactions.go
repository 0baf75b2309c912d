// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// errRefused is an error of the caller's.
var errRefused = errors.New("refused")

func testTransactions(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"AllWrites", testAllWrites},
		{"ErrorWritesNothing", testErrorWritesNothing},
		{"PanicWritesNothing", testPanicWritesNothing},
		{"ReadYourWrites", testReadYourWrites},
		{"ViewIsReadOnly", testViewIsReadOnly},
		{"ViewReturnsError", func(f *fixture) {
			err := f.store.View(f.Context(), part, func(store.Txn) error { return errRefused })
			if !errors.Is(err, errRefused) {
				f.Errorf("View() = %v, want %v", err, errRefused)
			}
		}},
	})
}

func testAllWrites(f *fixture) {
	f.set(part, "deleted", "value", time.Time{})
	f.set(part, "changed", "old", time.Time{})
	f.update(part, func(tx store.Txn) error {
		return errors.Join(tx.Delete("deleted"), tx.Set("changed", []byte("new"), time.Time{}),
			tx.Set("created", []byte("value"), f.now().Add(time.Hour)))
	})
	if got, want := f.scan(part, ""), []string{"changed=new", "created=value"}; !slices.Equal(got, want) {
		f.Errorf("Scan() found %q, want %q", got, want)
	}
}

func testErrorWritesNothing(f *fixture) {
	f.set(part, "kept", "value", time.Time{})
	f.set(part, "changed", "old", time.Time{})
	err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
		err := errors.Join(tx.Delete("kept"), tx.Set("changed", []byte("new"), time.Time{}),
			tx.Set("created", []byte("value"), time.Time{}))
		if err != nil {
			return err
		}
		return fmt.Errorf("after three writes: %w", errRefused)
	})
	if !errors.Is(err, errRefused) {
		f.Errorf("Update() = %v, want %v", err, errRefused)
	}
	f.want(part, "kept", "value")
	f.want(part, "changed", "old")
	f.wantMissing(part, "created")
}

// Whether Update panics too or returns an error is left to the backend. That it
// goes on serving is not.
func testPanicWritesNothing(f *fixture) {
	func() {
		defer func() { _ = recover() }()
		err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
			if err := tx.Set("key", []byte("value"), time.Time{}); err != nil {
				return err
			}
			panic("of the caller")
		})
		if err == nil {
			f.Error("Update() = nil after a panic")
		}
	}()
	f.wantMissing(part, "key")
	f.set(part, "key", "next", time.Time{})
	f.want(part, "key", "next")
}

func testReadYourWrites(f *fixture) {
	f.set(part, "deleted", "value", time.Time{})
	f.set(part, "changed", "old", time.Time{})
	get := func(tx store.Txn, key, want string, wantErr error) {
		f.Helper()
		if got, err := tx.Get(key); string(got) != want || !errors.Is(err, wantErr) {
			f.Errorf("Get(%q) = %q, %v, want %q, %v", key, got, err, want, wantErr)
		}
	}
	f.update(part, func(tx store.Txn) error {
		err := errors.Join(tx.Delete("deleted"), tx.Set("changed", []byte("new"), time.Time{}),
			tx.Set("created", []byte("value"), f.now().Add(time.Hour)))
		get(tx, "deleted", "", store.ErrNotFound)
		get(tx, "changed", "new", nil)
		get(tx, "created", "value", nil)
		err = errors.Join(err, tx.Set("deleted", []byte("back"), time.Time{}), tx.Delete("created"))
		get(tx, "deleted", "back", nil)
		get(tx, "created", "", store.ErrNotFound)
		return err
	})
	f.want(part, "deleted", "back")
	f.want(part, "changed", "new")
	f.wantMissing(part, "created")
}

func testViewIsReadOnly(f *fixture) {
	f.set(part, "key", "value", time.Time{})
	err := f.store.View(f.Context(), part, func(tx store.Txn) error {
		if err := tx.Set("key", []byte("new"), time.Time{}); !errors.Is(err, store.ErrReadOnly) {
			f.Errorf("Set() = %v, want %v", err, store.ErrReadOnly)
		}
		if err := tx.Set("key", nil, f.now().Add(-time.Hour)); !errors.Is(err, store.ErrReadOnly) {
			f.Errorf("Set() in the past = %v, want %v", err, store.ErrReadOnly)
		}
		if err := tx.Delete("key"); !errors.Is(err, store.ErrReadOnly) {
			f.Errorf("Delete() = %v, want %v", err, store.ErrReadOnly)
		}
		return nil
	})
	if err != nil {
		f.Errorf("View() = %v", err)
	}
	f.want(part, "key", "value")
}

func testPartitions(t *testing.T, c *suite) {
	// Names and keys that run into each other if they are only put together.
	partitions := []store.Partition{"a", "aa", "ab", "a-", "a_", "A", "-", "_", "0", "00"}
	keys := []string{"a", "aa", "/a", "a/a", "a/", "/", ":a", "}a", "\x00", "\xff", "-"}
	c.runAll(t, []test{
		{"NeverCollide", func(f *fixture) {
			for _, p := range partitions {
				f.update(p, func(tx store.Txn) error {
					errs := make([]error, 0, len(keys))
					for _, key := range keys {
						errs = append(errs, tx.Set(key, []byte(string(p)+" "+key), time.Time{}))
					}
					return errors.Join(errs...)
				})
			}
			slices.Sort(keys)
			for _, p := range partitions {
				want := make([]string, 0, len(keys))
				for _, key := range keys {
					f.want(p, key, string(p)+" "+key)
					want = append(want, key+"="+string(p)+" "+key)
				}
				if got := f.scan(p, ""); !slices.Equal(got, want) {
					f.Errorf("Scan(%q) found %q, want %q", p, got, want)
				}
			}
		}},
		{"DeleteInOneOnly", func(f *fixture) {
			for _, p := range partitions {
				f.set(p, "key", string(p), time.Time{})
			}
			f.delete("a", "key")
			f.wantMissing("a", "key")
			for _, p := range partitions[1:] {
				f.want(p, "key", string(p))
			}
		}},
	})
}
