// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

const (
	workers = 16
	rounds  = 25
)

func testConcurrency(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"Counter", testCounter},
		{"CreateIfAbsent", testCreateIfAbsent},
		{"WriteSkew", testWriteSkew},
		{"ConsistentView", testConsistentView},
		{"ErrorsBesideWrites", testErrorsBesideWrites},
	})
}

// spawn calls fn from all workers and waits for them.
func spawn(fn func(worker int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { fn(w) })
	}
	wg.Wait()
}

// number reads a counter; a missing one is zero.
func number(tx store.Txn, key string) (int, error) {
	value, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

func setNumber(tx store.Txn, key string, n int) error {
	return tx.Set(key, []byte(strconv.Itoa(n)), time.Time{})
}

// add increments a counter by n.
func add(tx store.Txn, key string, n int) error {
	old, err := number(tx, key)
	if err != nil {
		return err
	}
	return setNumber(tx, key, old+n)
}

// No increment is lost, and every update sees a value that no other sees.
func testCounter(f *fixture) {
	var seen sync.Map
	spawn(func(int) {
		for range rounds {
			var before int
			err := f.store.Update(f.Context(), part, func(tx store.Txn) (err error) {
				if before, err = number(tx, "counter"); err != nil {
					return err
				}
				return setNumber(tx, "counter", before+1)
			})
			if err != nil {
				f.Errorf("Update() = %v", err)
			}
			if _, twice := seen.LoadOrStore(before, true); twice {
				f.Errorf("two updates started from %d", before)
			}
		}
	})
	f.want(part, "counter", strconv.Itoa(workers*rounds))
}

func testCreateIfAbsent(f *fixture) {
	errTaken := errors.New("taken")
	for round := range rounds {
		key := fmt.Sprintf("key-%d", round)
		var winners atomic.Int32
		var winner atomic.Value
		spawn(func(w int) {
			mine := strconv.Itoa(w)
			err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
				switch _, err := tx.Get(key); {
				case err == nil:
					return errTaken
				case !errors.Is(err, store.ErrNotFound):
					return err
				}
				return tx.Set(key, []byte(mine), f.now().Add(time.Hour))
			})
			switch {
			case err == nil:
				winners.Add(1)
				winner.Store(mine)
			case !errors.Is(err, errTaken):
				f.Errorf("Update() = %v", err)
			}
		})
		if got := winners.Load(); got != 1 {
			f.Fatalf("%d of %d workers created %q, want 1", got, workers, key)
		}
		f.want(part, key, winner.Load().(string))
	}
}

// Each of two updates reads both keys and writes one. Run one after the other,
// whichever is second finds that it may not.
func testWriteSkew(f *fixture) {
	keys := []string{"left", "right"}
	for round := range rounds {
		prefix := fmt.Sprintf("%d-", round)
		spawn(func(w int) {
			err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
				sum := 0
				for _, key := range keys {
					n, err := number(tx, prefix+key)
					if err != nil {
						return err
					}
					sum += n
				}
				if sum > 0 {
					return nil
				}
				return setNumber(tx, prefix+keys[w%2], 1)
			})
			if err != nil {
				f.Errorf("Update() = %v", err)
			}
		})
		if got := f.scan(part, prefix); len(got) != 1 {
			f.Fatalf("updates left %q, want one key", got)
		}
	}
}

// Two keys always change together, and no reader sees them apart.
func testConsistentView(f *fixture) {
	var running atomic.Int32
	running.Store(workers / 2)
	spawn(func(w int) {
		if w%2 == 0 {
			defer running.Add(-1)
			for range rounds {
				err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
					return errors.Join(add(tx, "debit", -1), add(tx, "credit", 1))
				})
				if err != nil {
					f.Errorf("Update() = %v", err)
				}
			}
			return
		}
		for running.Load() > 0 {
			err := f.store.View(f.Context(), part, func(tx store.Txn) error {
				debit, err := number(tx, "debit")
				if err != nil {
					return err
				}
				credit, err := number(tx, "credit")
				if debit+credit != 0 {
					f.Errorf("View saw debit %d and credit %d", debit, credit)
				}
				return err
			})
			if err != nil {
				f.Errorf("View() = %v", err)
			}
		}
	})
	f.want(part, "credit", strconv.Itoa(workers/2*rounds))
}

// Updates that fail leave no trace in those that run beside them.
func testErrorsBesideWrites(f *fixture) {
	spawn(func(w int) {
		for range rounds {
			err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
				if err := add(tx, "counter", 1); err != nil || w%2 == 0 {
					return err
				}
				return errRefused
			})
			if w%2 == 0 && err != nil || w%2 == 1 && !errors.Is(err, errRefused) {
				f.Errorf("Update() of worker %d = %v", w, err)
			}
		}
	})
	f.want(part, "counter", strconv.Itoa(workers/2*rounds))
}
