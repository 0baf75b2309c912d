// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"context"
	"fmt"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Rotation is how the entries of a kind stand to a key that was replaced.
type Rotation struct {
	after after
	mover func([]Mover) Mover // of what is moved
}

type after int

const (
	unsealed after = iota + 1
	left
	awaited // a former key is not dropped before they are gone
)

var (
	// Unsealed: they tell nothing to who has no key.
	Unsealed = Rotation{after: unsealed}
	// Left: nothing waits for them. One that cannot be read is one that is not known.
	Left = Rotation{after: left}
	// Expires: the former key stays until they have ended, or were written anew.
	Expires = Rotation{after: awaited}
	// WithKeys: whoever changes the keys seals them anew, before the new one is used.
	WithKeys = Rotation{after: awaited}
)

// Mover seals records with the key in use, and moves them to where that has them.
type Mover interface {
	Reseal(ctx context.Context) (moved int, err error)
}

// Moved is the rotation of what outlives its key: an M moves it.
func Moved[M Mover]() Rotation {
	return Rotation{after: awaited, mover: func(movers []Mover) Mover {
		for _, m := range movers {
			if m, ok := m.(M); ok {
				return m
			}
		}
		return nil
	}}
}

// Reseal has everything moved that outlives a former key, and returns how many records
// were. It may end in the middle, and be begun again.
func Reseal(ctx context.Context, movers ...Mover) (moved int, err error) {
	for _, k := range kinds {
		if k.rotation.mover == nil {
			continue
		}
		mover := k.rotation.mover(movers)
		if mover == nil {
			return moved, fmt.Errorf("nobody seals %s with the new key", k.name)
		}
		n, err := mover.Reseal(ctx)
		moved += n
		if err != nil {
			return moved, fmt.Errorf("seal %s with the new key: %w", k.name, err)
		}
	}
	return moved, nil
}

// Awaited reports whether an entry is a sealed record for which its key is kept.
func Awaited(p store.Partition, key string) bool {
	k := kindOf(p, key)
	return k != nil && k.rotation.after == awaited
}

// SealedBy counts these records by the key that has sealed them.
func SealedBy(ctx context.Context, r store.Reader) (map[byte]int, error) {
	counts := map[byte]int{}
	for _, p := range All() {
		err := r.Scan(ctx, p, "", func(key string, sealed []byte) (bool, error) {
			if id, ok := keyring.SealedBy(sealed); ok && Awaited(p, key) {
				counts[id]++
			}
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("count records: %w", err)
		}
	}
	return counts, nil
}
