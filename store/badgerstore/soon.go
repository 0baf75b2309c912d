// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// soonTime is how long writes that nobody waits for may gather.
const soonTime = 20 * time.Millisecond

// UpdateSoon implements [store.Soon]. Batches are committed in order, and one
// that fails takes what gathered behind it along, so nothing that was read from
// these writes can be committed without them.
func (s *Store) UpdateSoon(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if err := s.enter(ctx, p); err != nil {
		return err
	}
	defer s.gate.Leave()
	for {
		b, full, err := s.run(ctx, func(tx *writeTxn) error {
			tx.partition = p
			return fn(tx)
		}, s.queue.signalSoon)
		if !full {
			return err
		}
		if err := wait(ctx, b.taken); err != nil {
			return err
		}
	}
}

var _ store.Soon = (*Store)(nil)
