// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Listed is an entry under the name that logs of the same day use for the
// address. The address itself is not told.
type Listed struct {
	Pseudonym string
	Medium    threepid.Medium
	Entry
}

// List returns the suppressions in force, the one that ends first at the head,
// and whether there are more than limit. Records of a key that is no longer in
// the ring are passed over: nothing can look them up either.
func (s *Suppression) List(ctx context.Context, limit int) (list []Listed, more bool, err error) {
	now := s.cfg.Now()
	err = suppressions.Each(ctx, s.cfg.Store, func(_ store.Partition, key string, value []byte) (bool, error) {
		var r record
		if suppressions.Open(s.cfg.Keys, key, value, &r) != nil {
			return true, nil
		}
		e, ok := r.entry(s.cfg.Policy, now)
		if !ok {
			return true, nil
		}
		if more = len(list) >= limit; more {
			return false, nil
		}
		list = append(list, Listed{
			Pseudonym: s.cfg.Keys.Pseudonym(now, r.Address), Medium: r.Medium, Entry: e,
		})
		return true, nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("list suppressions: %w", err)
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Pseudonym, b.Pseudonym))
	})
	return list, more, nil
}
