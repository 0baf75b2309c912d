// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Retention is how long after its rotation a former key is needed: nothing that
// this service makes lives longer under its name, but bindings, which Reseal
// moves. What is made at the very moment of a rotation is covered by a day.
func (s *Service) Retention() time.Duration {
	longest := max(conversationTime, 2*MaxLifetime, s.cfg.Cooldown, s.cfg.Longest(), s.cfg.PerAddress.Per, wrongCodes.Per)
	return longest + 24*time.Hour
}

// Reseal moves every binding to where the key in use has it, and seals it with that
// key, and returns how many it has moved. It may end in the middle, and be begun
// again; the bindings are found at every moment. What cannot be opened stays.
func (s *Service) Reseal(ctx context.Context) (moved int, err error) {
	for n := range sealed.Partitions {
		stale, err := s.staleBindings(ctx, sealed.PartitionName(n))
		if err != nil {
			return moved, err
		}
		for _, old := range stale {
			if err := s.moveBinding(ctx, old); err != nil {
				return moved, fmt.Errorf("move binding: %w", err)
			}
			moved++
		}
	}
	return moved, nil
}

// placed is a binding and where it is.
type placed struct {
	partition store.Partition
	key       string
	binding   Binding
}

func (s *Service) staleBindings(ctx context.Context, p store.Partition) (stale []placed, err error) {
	err = kindBinding.Scan(ctx, s.store, p, func(key string, value []byte) (bool, error) {
		var b Binding
		if kindBinding.Open(s.keys, key, value, &b) != nil {
			return true, nil
		}
		if on := s.bindingPrefixes(b.User)[0]; !strings.HasPrefix(key, on.prefix) {
			stale = append(stale, placed{p, key, b})
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("search bindings: %w", err)
	}
	return stale, nil
}

// moveBinding writes the new entry before it deletes the old one. There is no
// transaction over two partitions: who finds the old one gone meanwhile takes
// the new one back, because somebody has undone the binding. And who looks for it,
// to read it or to undo it, begins at the former place: what is not there any more is
// at the new one by then.
func (s *Service) moveBinding(ctx context.Context, old placed) error {
	on := s.bindingPrefixes(old.binding.User)[0]
	key := s.bindingKey(on, old.binding)
	err := s.store.Update(ctx, on.partition, func(txn store.Txn) error {
		var there Binding
		err := kindBinding.Get(txn, s.keys, key, &there)
		if !errors.Is(err, store.ErrNotFound) {
			return err // or it was bound anew, or moved by somebody who died then
		}
		return kindBinding.Put(txn, s.keys, key, old.binding, time.Time{})
	})
	if err != nil {
		return err
	}
	undone := false
	err = s.store.Update(ctx, old.partition, func(txn store.Txn) error {
		_, err := txn.Get(old.key)
		if undone = errors.Is(err, store.ErrNotFound); undone {
			return nil
		}
		if err != nil {
			return err
		}
		return txn.Delete(old.key)
	})
	if err != nil || !undone {
		return err
	}
	return s.store.Update(ctx, on.partition, func(txn store.Txn) error {
		var there Binding
		err := kindBinding.Get(txn, s.keys, key, &there)
		if errors.Is(err, store.ErrNotFound) || (err == nil && !there.Bound.Equal(old.binding.Bound)) {
			return nil
		}
		if err != nil {
			return err
		}
		return txn.Delete(key)
	})
}
