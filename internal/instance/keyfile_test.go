// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// lenient is a guest whose store does not do what it says.
type lenient struct {
	store.Store
	update func(context.Context, store.Partition, func(store.Txn) error) error
	get    func([]byte, error) ([]byte, error)
}

func (*lenient) PoolKey() (string, error)                     { return "lenient", nil }
func (*lenient) FixedOptions() string                         { return "" }
func (l *lenient) OpenStore(*zap.Logger) (store.Store, error) { return l, nil }

func (l *lenient) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if l.update != nil {
		return l.update(ctx, p, fn)
	}
	return l.Store.Update(ctx, p, fn)
}

func (l *lenient) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return l.Store.View(ctx, p, func(txn store.Txn) error { return fn(lenientTxn{txn, l}) })
}

type lenientTxn struct {
	store.Txn
	of *lenient
}

func (t lenientTxn) Get(key string) ([]byte, error) {
	value, err := t.Txn.Get(key)
	if t.of.get != nil {
		return t.of.get(value, err)
	}
	return value, err
}

// TestAStoreIsBlamedForItsOwnFaults, by its name, before a key file is made for it; that it
// cannot be written for now is none.
func TestAStoreIsBlamedForItsOwnFaults(t *testing.T) {
	right := storetest.NewMemory(nil)
	for name, c := range map[string]struct {
		mod   lenient
		opens bool
	}{
		"writes nothing": {mod: lenient{update: func(context.Context, store.Partition, func(store.Txn) error) error { return nil }}},
		"misses nothing": {mod: lenient{get: func(value []byte, _ error) ([]byte, error) { return value, nil }}},
		"is full": {opens: true, mod: lenient{update: func(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
			if p == keycheck.Partition {
				return right.Update(ctx, p, fn) // which writes nothing, if the keys are known
			}
			return errBrittle
		}}},
		"does as it says": {opens: true},
	} {
		c.mod.Store = storetest.NewMemory(nil)
		path := filepath.Join(t.TempDir(), "keys.json")
		err := WithKeyFile(path, func(string) *zap.Logger { return zap.NewNop() }, func(k *KeyFile) error {
			opened, err := k.Open(&c.mod, "of somebody")
			if opened != nil {
				must(t, opened.Destruct())
			}
			return err
		})
		_, made := os.Stat(path)
		blamed := errors.Is(err, store.ErrContract) && strings.Contains(err.Error(), "store of somebody") && errors.Is(made, fs.ErrNotExist)
		if c.opens && (err != nil || made != nil) || !c.opens && !blamed {
			t.Errorf("%s: got %v, and of the key file %v", name, err, made)
		}
	}
}
