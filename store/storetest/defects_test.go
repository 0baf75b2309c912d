// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// defectEnv makes TestOneDefect run the suite on a store with that defect.
const defectEnv = "STORETEST_DEFECT"

// flawed is a correct store in which single methods are replaced.
type flawed struct {
	store.Store
	view, update func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error
	scan         func(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error
	close        func() error
}

func (f flawed) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if f.view != nil {
		return f.view(ctx, p, fn)
	}
	return f.Store.View(ctx, p, fn)
}

func (f flawed) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if f.update != nil {
		return f.update(ctx, p, fn)
	}
	return f.Store.Update(ctx, p, fn)
}

func (f flawed) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if f.scan != nil {
		return f.scan(ctx, p, prefix, fn)
	}
	return f.Store.Scan(ctx, p, prefix, fn)
}

func (f flawed) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.Store.Close()
}

// flawedTxn is the same for a transaction.
type flawedTxn struct {
	store.Txn
	get    func(key string) ([]byte, error)
	set    func(key string, value []byte, expires time.Time) error
	delete func(key string) error
}

func (f flawedTxn) Get(key string) ([]byte, error) {
	if f.get != nil {
		return f.get(key)
	}
	return f.Txn.Get(key)
}

func (f flawedTxn) Set(key string, value []byte, expires time.Time) error {
	if f.set != nil {
		return f.set(key, value, expires)
	}
	return f.Txn.Set(key, value, expires)
}

func (f flawedTxn) Delete(key string) error {
	if f.delete != nil {
		return f.delete(key)
	}
	return f.Txn.Delete(key)
}

// inUpdate wraps the transaction of every update.
func inUpdate(s store.Store, wrap func(store.Txn) flawedTxn) store.Store {
	return flawed{Store: s, update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
		return s.Update(ctx, p, func(tx store.Txn) error { return fn(wrap(tx)) })
	}}
}

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

// lostUpdates runs functions outside the transaction that writes.
func lostUpdates(s store.Store) store.Store {
	return flawed{Store: s, update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
		var writes []func(store.Txn) error
		err := s.View(ctx, p, func(tx store.Txn) error {
			return fn(flawedTxn{
				Txn: tx,
				set: func(key string, value []byte, expires time.Time) error {
					value = bytes.Clone(value)
					writes = append(writes, func(tx store.Txn) error { return tx.Set(key, value, expires) })
					return nil
				},
				delete: func(key string) error {
					writes = append(writes, func(tx store.Txn) error { return tx.Delete(key) })
					return nil
				},
			})
		})
		if err != nil {
			return err
		}
		return s.Update(ctx, p, func(tx store.Txn) error {
			for _, write := range writes {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

// blindWrites reads what was there before the transaction.
func blindWrites(s store.Store) store.Store {
	return inUpdate(s, func(tx store.Txn) flawedTxn {
		before := make(map[string][]byte)
		remember := func(key string) {
			if _, ok := before[key]; !ok {
				before[key], _ = tx.Get(key)
			}
		}
		return flawedTxn{
			Txn: tx,
			get: func(key string) ([]byte, error) {
				if value, ok := before[key]; ok && value != nil {
					return value, nil
				}
				return tx.Get(key)
			},
			set: func(key string, value []byte, expires time.Time) error {
				remember(key)
				return tx.Set(key, value, expires)
			},
			delete: func(key string) error { remember(key); return tx.Delete(key) },
		}
	})
}

// joinedPartitions keeps everything in one, under partition and key put
// together without a separator.
func joinedPartitions(s store.Store) store.Store {
	wrap := func(p store.Partition, fn func(store.Txn) error) func(store.Txn) error {
		return func(tx store.Txn) error {
			return fn(flawedTxn{
				get: func(key string) ([]byte, error) { return tx.Get(string(p) + key) },
				set: func(key string, value []byte, expires time.Time) error {
					return tx.Set(string(p)+key, value, expires)
				},
				delete: func(key string) error { return tx.Delete(string(p) + key) },
			})
		}
	}
	return flawed{
		Store: s,
		view: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			return s.View(ctx, "all", wrap(p, fn))
		},
		update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			return s.Update(ctx, "all", wrap(p, fn))
		},
		scan: func(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
			return s.Scan(ctx, "all", string(p)+prefix, func(key string, value []byte) (bool, error) {
				return fn(strings.TrimPrefix(key, string(p)), value)
			})
		},
	}
}

// rescan visits what a scan found in another order.
func rescan(s store.Store, reorder func([]string)) store.Store {
	return flawed{Store: s, scan: func(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
		found := make(map[string][]byte)
		err := s.Scan(ctx, p, prefix, func(key string, value []byte) (bool, error) {
			found[key] = bytes.Clone(value)
			return true, nil
		})
		keys := slices.Sorted(maps.Keys(found))
		reorder(keys)
		for _, key := range keys {
			if more, err := fn(key, found[key]); err != nil || !more {
				return err
			}
		}
		return err
	}}
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
	clock := newFakeClock()
	flaw, ok := defects[os.Getenv(defectEnv)]
	if !ok {
		flaw = defects["none"]
	}
	storetest.Run(t, func(*testing.T) store.Store { return flaw(storetest.NewMemory(clock.Now)) },
		storetest.WithClock(clock.Now, clock.Advance))
}
