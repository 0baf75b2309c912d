// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

var errBroken = errors.New("broken")

// able is a store that knows by itself whether it is empty and need not let its
// writers wait.
type able struct {
	store.Store
	empty bool
	err   error
	async int
}

func (a *able) Empty(context.Context) (bool, error) { return a.empty, a.err }

func (a *able) UpdateAsync(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	a.async++
	return errors.Join(a.Update(ctx, p, fn), a.err)
}

func set(tx store.Txn) error { return tx.Set("key", nil, time.Time{}) }

func TestEmptyAsksTheStoreOrLooksIntoItsPartitions(t *testing.T) {
	memory := storetest.NewMemory(nil)
	if err := memory.Update(t.Context(), "full", set); err != nil {
		t.Fatal(err)
	}
	broken := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: errBroken}
	broken.Arm(1)
	for name, test := range map[string]struct {
		reader     store.Reader
		partitions []store.Partition
		want       bool
		err        error
	}{
		"none":              {memory, nil, true, nil},
		"others":            {memory, []store.Partition{"a", "b"}, true, nil},
		"the first":         {memory, []store.Partition{"full", "a"}, false, nil},
		"the last":          {memory, []store.Partition{"a", "full"}, false, nil},
		"it fails":          {broken, []store.Partition{"a"}, false, errBroken},
		"it knows":          {&able{Store: memory, empty: true}, []store.Partition{"full"}, true, nil},
		"it knows of more":  {&able{Store: memory}, nil, false, nil},
		"it does not know":  {&able{Store: memory, err: errBroken}, nil, false, errBroken},
		"no such partition": {memory, []store.Partition{"a", "no partition"}, false, store.ErrInvalidKey},
	} {
		if got, err := store.Empty(t.Context(), test.reader, test.partitions...); got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: Empty() = %v, %v, want %v, %v", name, got, err, test.want, test.err)
		}
	}
}

// counted counts what a scan shows.
type counted struct {
	store.Reader
	shown int
}

func (c *counted) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	return c.Reader.Scan(ctx, p, prefix, func(key string, value []byte) (bool, error) {
		c.shown++
		return fn(key, value)
	})
}

// TestEmptyLooksNoFurther than to the first entry: there may be very many.
func TestEmptyLooksNoFurther(t *testing.T) {
	memory := storetest.NewMemory(nil)
	if err := memory.Update(t.Context(), "full", func(tx store.Txn) error {
		return errors.Join(tx.Set("a", nil, time.Time{}), tx.Set("b", nil, time.Time{}))
	}); err != nil {
		t.Fatal(err)
	}
	c := &counted{Reader: memory}
	if got, err := store.Empty(t.Context(), c, "full"); got || err != nil || c.shown != 1 {
		t.Errorf("Empty() = %v, %v after %d entries, want false after 1", got, err, c.shown)
	}
}

func TestUpdateAsyncIsUpdateWhereThereIsNoOther(t *testing.T) {
	memory := storetest.NewMemory(nil)
	async := &able{Store: memory, err: errBroken}
	if err := store.UpdateAsync(t.Context(), async, "async", set); !errors.Is(err, errBroken) || async.async != 1 {
		t.Errorf("UpdateAsync() = %v after %d calls, want %v after 1", err, async.async, errBroken)
	}
	if err := store.UpdateAsync(t.Context(), memory, "now", set); err != nil {
		t.Error(err)
	}
	if err := store.UpdateAsync(t.Context(), memory, "no partition", set); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("UpdateAsync() = %v, want %v", err, store.ErrInvalidKey)
	}
	for _, p := range []store.Partition{"async", "now"} {
		if err := memory.View(t.Context(), p, func(tx store.Txn) error { _, err := tx.Get("key"); return err }); err != nil {
			t.Errorf("%s: Get() = %v", p, err)
		}
	}
}
