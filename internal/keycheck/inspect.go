// SPDX-License-Identifier: Apache-2.0

package keycheck

import (
	"context"
	"errors"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Layout says how what is stored is arranged.
type Layout struct {
	// Partitions are all that are in use, except for [Partition].
	Partitions []store.Partition
	// Sealed reports whether an entry is a sealed record. Its key in the store is
	// what it is bound to.
	Sealed func(p store.Partition, key string) bool
}

// Found is what Inspect finds.
type Found struct {
	Contents
	// Closed is how many records of a store that is [Readable] do not open: they
	// are of a key that the file does not have.
	Closed int
}

// Inspect finds out what is in a store, and changes nothing. Without keys it is
// [Empty] or [Unseen].
func Inspect(ctx context.Context, r store.Reader, keys *keyring.Ring, l Layout) (Found, error) {
	if keys != nil {
		switch _, err := Read(ctx, r, keys); {
		case err == nil:
			return Found{Contents: Ours}, nil
		case errors.Is(err, ErrOther):
			return Found{Contents: Foreign}, nil
		case !errors.Is(err, store.ErrNotFound):
			return Found{Contents: Unseen}, err
		}
	}
	empty, err := store.Empty(ctx, r, append([]store.Partition{Partition}, l.Partitions...)...)
	if err == nil && empty {
		return Found{Contents: Empty}, nil
	}
	if err != nil || keys == nil {
		return Found{Contents: Unseen}, err
	}
	return l.try(ctx, r, keys)
}

// try tries the keys on everything that is sealed.
func (l Layout) try(ctx context.Context, r store.Reader, keys *keyring.Ring) (Found, error) {
	opened, closed := 0, 0
	for _, p := range l.Partitions {
		err := r.Scan(ctx, p, "", func(key string, value []byte) (bool, error) {
			if !l.Sealed(p, key) {
				return true, nil
			}
			if _, err := keys.Open(key, value); err == nil {
				opened++
			} else {
				closed++
			}
			return true, nil
		})
		if err != nil {
			return Found{Contents: Unseen}, err
		}
	}
	switch {
	case opened > 0:
		return Found{Readable, closed}, nil
	case closed > 0:
		return Found{Unreadable, closed}, nil
	}
	return Found{Contents: Unsealed}, nil
}
