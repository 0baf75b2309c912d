// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Listed is an entry under the name that logs of the same day use for the
// address. The address itself is not told.
type Listed struct {
	Pseudonym string
	Medium    verification.Medium
	Entry
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// List returns the suppressions in force, the one that ends first at the head,
// and whether there are more than limit. Records of a key that is no longer in
// the ring are passed over: nothing can look them up either.
func (s *Suppression) List(ctx context.Context, limit int) (list []Listed, more bool, err error) {
	now := s.cfg.Now()
	for n := range verification.Partitions {
		err := s.cfg.Store.Scan(ctx, verification.PartitionName(n), suppressionPrefix, func(key string, sealed []byte) (bool, error) {
			var r record
			if s.open(key, sealed, &r) != nil {
				return true, nil
			}
			e, ok := r.entry(s.cfg.Policy, now)
			if !ok {
				return true, nil
			}
			if len(list) >= limit {
				return false, errEnough
			}
			list = append(list, Listed{
				Pseudonym: s.cfg.Keys.Pseudonym(now, r.Address), Medium: verification.Medium(r.Medium), Entry: e,
			})
			return true, nil
		})
		if errors.Is(err, errEnough) {
			more = true
			break
		}
		if err != nil {
			return nil, false, fmt.Errorf("list suppressions: %w", err)
		}
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Pseudonym, b.Pseudonym))
	})
	return list, more, nil
}
