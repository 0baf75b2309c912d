// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// defectEnv makes TestOneDefect run the suite on a store with that defect.
const defectEnv = "STORETEST_DEFECT"

// defects are mistakes that a backend could well make.
var defects = map[string]func(store.Store) store.Store{
	"none": func(s store.Store) store.Store { return s },
	"expiry is ignored": func(s store.Store) store.Store {
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, set: func(key string, value []byte, expires time.Time) error {
				if time.Until(expires) > -time.Second {
					expires = time.Time{}
				}
				return tx.Set(key, value, expires)
			}}
		})
	},
	"a past expiry is kept as a live entry": func(s store.Store) store.Store {
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, set: func(key string, value []byte, expires time.Time) error {
				if !expires.IsZero() && time.Until(expires) < -time.Second {
					expires = time.Time{}
				}
				return tx.Set(key, value, expires)
			}}
		})
	},
	"a second write keeps the first expiry": func(s store.Store) store.Store {
		first := make(map[string]time.Time)
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, set: func(key string, value []byte, expires time.Time) error {
				if old, ok := first[key]; ok && !old.IsZero() {
					expires = old
				}
				first[key] = expires
				return tx.Set(key, value, expires)
			}}
		})
	},
	"entries die early": func(s store.Store) store.Store {
		return inUpdate(s, func(tx store.Txn) flawedTxn {
			return flawedTxn{Txn: tx, set: func(key string, value []byte, expires time.Time) error {
				if !expires.IsZero() {
					expires = expires.Truncate(time.Second).Add(-time.Second)
				}
				return tx.Set(key, value, expires)
			}}
		})
	},
	"an error does not undo the writes": func(s store.Store) store.Store {
		return flawed{Store: s, update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			var fnErr error
			err := s.Update(ctx, p, func(tx store.Txn) error { fnErr = fn(tx); return nil })
			return errors.Join(err, fnErr)
		}}
	},
	"what has expired is still counted":         func(s store.Store) store.Store { return &countsAll{Store: s} },
	"updates are not serialized":                lostUpdates,
	"a transaction does not see its own writes": blindWrites,
	"a view accepts writes": func(s store.Store) store.Store {
		return flawed{Store: s, view: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			return s.View(ctx, p, func(tx store.Txn) error {
				return fn(flawedTxn{
					Txn:    tx,
					set:    func(string, []byte, time.Time) error { return nil },
					delete: func(string) error { return nil },
				})
			})
		}}
	},
	"keys of partitions run together": joinedPartitions,
	"a scan is not in order": func(s store.Store) store.Store {
		return rescan(s, func(keys []string) { slices.Reverse(keys) })
	},
	"a scan ignores the prefix": func(s store.Store) store.Store {
		return flawed{Store: s, scan: func(ctx context.Context, p store.Partition, _ string, fn func(string, []byte) (bool, error)) error {
			return s.Scan(ctx, p, "", fn)
		}}
	},
	"a scan cannot be stopped": func(s store.Store) store.Store {
		return flawed{Store: s, scan: func(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
			return s.Scan(ctx, p, prefix, func(key string, value []byte) (bool, error) {
				_, err := fn(key, value)
				return true, err
			})
		}}
	},
	"errors lose their identity": func(s store.Store) store.Store {
		return flawed{Store: s, update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			if err := s.Update(ctx, p, fn); err != nil {
				return errors.New(err.Error())
			}
			return nil
		}}
	},
	"the context is ignored": func(s store.Store) store.Store {
		return flawed{Store: s, update: func(_ context.Context, p store.Partition, fn func(store.Txn) error) error {
			return s.Update(context.Background(), p, fn)
		}}
	},
	"a closed store serves": func(s store.Store) store.Store {
		return flawed{Store: s, close: func() error { return nil }}
	},
	"closing twice is an error": func(s store.Store) store.Store {
		var once sync.Once
		return flawed{Store: s, close: func() error {
			err := errors.New("already closed")
			once.Do(func() { err = s.Close() })
			return err
		}}
	},
}

// TestSuiteFindsDefects runs the suite in processes of its own on stores that
// break the contract in one point each, and on one that does not.
func TestSuiteFindsDefects(t *testing.T) {
	t.Parallel()
	for name := range defects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneDefect$", "-test.count=1", "-test.failfast")
			cmd.Env = append(os.Environ(), defectEnv+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			switch found := errors.As(err, &exit) && exit.ExitCode() == 1; {
			case name == "none" && err != nil:
				t.Errorf("suite failed on a correct store: %v\n%s", err, out)
			case name != "none" && !found:
				t.Errorf("suite did not find the defect: %v\n%s", err, out)
			case found && !bytes.Contains(out, []byte("--- FAIL: TestOneDefect/")):
				t.Errorf("suite broke instead of failing:\n%s", out)
			}
		})
	}
}

// TestOneDefect is the process of TestSuiteFindsDefects. On its own it runs
// the suite on a store without defects.
func TestOneDefect(t *testing.T) {
	clock := storetest.NewClock(time.Now())
	flaw, ok := defects[os.Getenv(defectEnv)]
	if !ok {
		flaw = defects["none"]
	}
	storetest.Run(t, func(*testing.T) store.Store { return flaw(storetest.NewMemory(clock.Now)) },
		storetest.WithClock(clock.Now, clock.Advance))
}
