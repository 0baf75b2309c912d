// SPDX-License-Identifier: Apache-2.0

package store

import "context"

// Soon is a [Store] that need not let a caller wait for its own writes, when
// they wait for later ones anyway.
type Soon interface {
	// UpdateSoon is Update, but returns as soon as all later updates, of either
	// kind, see what was written. A View or a Scan may see it only when it is
	// durable, which it is when any Update has returned that began after that,
	// and when the store was closed; until then the death of the process may undo
	// it, together with everything that came after it.
	UpdateSoon(ctx context.Context, p Partition, fn func(Txn) error) error
}

// UpdateSoon is s.UpdateSoon, or s.Update where there is no such thing.
func UpdateSoon(ctx context.Context, s Store, p Partition, fn func(Txn) error) error {
	if soon, ok := s.(Soon); ok {
		return soon.UpdateSoon(ctx, p, fn)
	}
	return s.Update(ctx, p, fn)
}
