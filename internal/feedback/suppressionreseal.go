// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// take merges what another record of the same address says. The rules of
// merging make it the same to take it twice.
func (r *record) take(o record) {
	r.merge(Entry{Reason: o.Reason, Since: time.UnixMilli(o.Since), Until: time.UnixMilli(o.Until), Code: o.Code})
	for _, s := range o.Strikes {
		r.strike(s)
	}
}

// former is what is known at some places together. It begins at the last: a record
// that moves is written at the first place before it is deleted elsewhere.
func (s *Suppression) former(ctx context.Context, places []place) (record, error) {
	var all record
	for _, at := range slices.Backward(places) {
		var r record
		err := s.cfg.Store.View(ctx, at.partition, func(txn store.Txn) error { return suppressions.Get(txn, s.cfg.Keys, at.key, &r) })
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return all, err
		}
		all.take(r)
	}
	return all, nil
}

// leave deletes what was merged into the record under the newest name.
func (s *Suppression) leave(ctx context.Context, places []place) error {
	for _, at := range places {
		err := s.cfg.Store.Update(ctx, at.partition, func(txn store.Txn) error {
			_, err := txn.Get(at.key)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return txn.Delete(at.key)
		})
		if err != nil {
			return fmt.Errorf("remove former suppression: %w", err)
		}
	}
	return nil
}

// Reseal moves every record to where the key in use has it, and returns how
// many it has moved. It may end in the middle, and be begun again. A record that
// is removed by an operator in the very moment of its move may stay.
func (s *Suppression) Reseal(ctx context.Context) (moved int, err error) {
	var stale []record
	err = suppressions.Each(ctx, s.cfg.Store, func(p store.Partition, key string, value []byte) (bool, error) {
		var r record
		if suppressions.Open(s.cfg.Keys, key, value, &r) != nil {
			return true, nil // of a key that is gone
		}
		places, _, err := s.locate(r.ThreePID())
		if err == nil && (places[0] != place{p, key} || !s.cfg.Keys.InUse(value)) {
			stale = append(stale, r)
		}
		return true, nil
	})
	if err != nil {
		return 0, fmt.Errorf("search suppressions: %w", err)
	}
	for _, r := range stale {
		err := s.change(ctx, r.ThreePID(), func(*record) {})
		if err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}
