// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// stores are the open stores of this process, by module and PoolKey.
var stores = caddy.NewUsagePool()

type poolKey struct {
	module caddy.ModuleID
	key    string
}

// pooled is an open store with the options that it was opened with, which cannot
// change.
type pooled struct {
	*instance.SharedStore
	fixed string
}

// acquireStore opens a store with the keys of that file, or joins the configurations
// that have it open.
func acquireStore(mod guest.Store, keyFile string) (key any, shared *instance.SharedStore, err error) {
	err = instance.WithKeyFile(keyFile, processLogger, func(keys *instance.KeyFile) (err error) {
		key, shared, err = acquireWith(mod, keys)
		return err
	})
	return key, shared, err
}

func acquireWith(mod guest.Store, keys *instance.KeyFile) (any, *instance.SharedStore, error) {
	var name, fixed string
	err := instance.Guarded(func() (err error) {
		name, err = mod.PoolKey()
		fixed = mod.FixedOptions()
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	key := poolKey{moduleID(mod), name}
	value, joins, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		opened, err := keys.Open(mod, name)
		if err != nil {
			return nil, err
		}
		return pooled{opened, fixed}, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	open, ok := value.(pooled)
	switch {
	case !ok:
		err = fmt.Errorf("open store: pool holds a %T", value)
	case joins && open.fixed != fixed:
		err = instance.ErrChanged(name)
	case joins:
		err = keys.Join(open.SharedStore, name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, releaseStore(key))
	}
	return key, open.SharedStore, nil
}

// releaseStore undoes one acquireStore.
func releaseStore(key any) error {
	if _, err := stores.Delete(key); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Interface guard
var _ caddy.Destructor = pooled{}
