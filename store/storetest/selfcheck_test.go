// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// silent are mistakes by which nothing fails, until what was said to be done is missed.
var silent = map[string]func(store.Store) store.Store{
	"an update does nothing": func(s store.Store) store.Store {
		return flawed{Store: s, update: func(context.Context, store.Partition, func(store.Txn) error) error { return nil }}
	},
	"an update says nothing of a failure": func(s store.Store) store.Store {
		return flawed{Store: s, update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			_ = s.Update(ctx, p, fn)
			return nil
		}}
	},
	"nothing is found, and not missed": func(s store.Store) store.Store {
		nothing := func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, get: func(key string) ([]byte, error) {
				value, err := tx.Get(key)
				if errors.Is(err, store.ErrNotFound) {
					err = nil
				}
				return value, err
			}}
		}
		return flawed{Store: inUpdate(s, nothing), view: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			return s.View(ctx, p, func(tx store.Txn) error { return fn(nothing(tx)) })
		}}
	},
	"nothing is deleted": func(s store.Store) store.Store {
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, delete: func(string) error { return nil }}
		})
	},
	"a scan finds nothing": func(s store.Store) store.Store {
		return flawed{Store: s, scan: func(context.Context, store.Partition, string, func(string, []byte) (bool, error)) error { return nil }}
	},
	"values end with a zero": func(s store.Store) store.Store {
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, set: func(key string, value []byte, expires time.Time) error {
				return tx.Set(key, slices.DeleteFunc(slices.Clone(value), func(b byte) bool { return b == 0 }), expires)
			}}
		})
	},
}

// unseen are those of the defects that take a while, or load, to be seen.
var unseen = []string{
	"none", "expiry is ignored", "entries die early", "what has expired is still counted",
	"the context is ignored", "a closed store serves", "closing twice is an error",
}

// TestSelfCheckFindsWhatCanBeSeenInAMoment, and the clock of a store that is far from ours;
// it leaves nothing behind in a store that is as it should be.
func TestSelfCheckFindsWhatCanBeSeenInAMoment(t *testing.T) {
	all := maps.Clone(defects)
	maps.Copy(all, silent)
	for name, flaw := range all {
		right := storetest.NewMemory(nil)
		err := store.SelfCheck(t.Context(), flaw(right), time.Now())
		if blind := slices.Contains(unseen, name); blind && err != nil || !blind && err == nil {
			t.Errorf("%s: got %v", name, err)
		}
		if empty, failed := store.Empty(t.Context(), right, "self-check"); name == "none" && (!empty || failed != nil) {
			t.Errorf("something is left: %v", failed)
		}
	}
	for _, off := range []time.Duration{-time.Hour, -time.Second, time.Second, time.Hour} {
		s := storetest.NewMemory(func() time.Time { return time.Now().Add(off) })
		if err := store.SelfCheck(t.Context(), s, time.Now()); errors.Is(err, store.ErrContract) != (off.Abs() > time.Minute) {
			t.Errorf("its clock is off by %v: got %v", off, err)
		}
	}
}

// TestSelfCheckBlamesNoContractForAFailure, and passes on each.
func TestSelfCheckBlamesNoContractForAFailure(t *testing.T) {
	broken := errors.New("disk")
	for n := 1; ; n++ {
		s := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: broken}
		s.Arm(n)
		err := store.SelfCheck(t.Context(), s, time.Now())
		if s.Broke() == "" {
			if n < 20 || err != nil {
				t.Errorf("got %v after %d operations", err, n)
			}
			return
		}
		if !errors.Is(err, broken) || errors.Is(err, store.ErrContract) {
			t.Errorf("%s: got %v", s.Broke(), err)
		}
	}
}
