// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

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

// countsAll says that it holds something as soon as it ever did.
type countsAll struct {
	store.Store
	written atomic.Bool
}

func (c *countsAll) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	c.written.Store(true)
	return c.Store.Update(ctx, p, fn)
}

func (c *countsAll) Empty(ctx context.Context) (bool, error) {
	if err := c.Ping(ctx); err != nil {
		return false, err
	}
	return !c.written.Load(), nil
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
