// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// limitsPartition is where all limits are. In one partition, one transaction
// counts a request against all of them or against none. The budget is a single
// cell anyway that every message meets.
var limitsPartition = kindLimit.Partition("")

// spend counts against all cells, or against none if one refuses; then the
// error says how long the slowest wants to be waited for.
func (s *limiter) spend(ctx context.Context, cells ...ratelimit.Cell) error {
	return s.take(ctx, func(txn store.Txn) (*LimitError, error) { return s.charge(txn, cells) })
}

// take runs a transaction over limits, which counts, or refuses and writes nothing.
func (s *limiter) take(ctx context.Context, fn func(store.Txn) (*LimitError, error)) error {
	var refused *LimitError
	// Whatever it is counted for waits for the disk by itself.
	err := store.UpdateAsync(ctx, s.store, limitsPartition, func(txn store.Txn) (err error) {
		refused, err = fn(txn)
		return err
	})
	if err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	return nil
}

// charge counts against all cells in a transaction, or against none if one refuses.
func (s *limiter) charge(txn store.Txn, cells []ratelimit.Cell) (refused *LimitError, err error) {
	r, err := s.table.Charge(txn, nil, cells)
	return limitError(r), err
}

func limitError(r *ratelimit.Refusal) *LimitError {
	if r == nil {
		return nil
	}
	return &LimitError{RetryAfter: r.Wait, Limit: r.Kind}
}

// cooled refuses whoever asks for a mailbox that cools down. Its owner may.
func (s *limiter) cooled(txn store.Txn, d *demand, who ratelimit.Asker) (refused *LimitError, err error) {
	if !d.cools || who.Known {
		return nil, nil
	}
	wait, err := s.cooling(txn, d.id, who.By)
	if err != nil || wait <= 0 {
		return nil, err
	}
	return &LimitError{RetryAfter: wait, Limit: LimitCooldown}, nil
}

// giveBack undoes, in whole or in part, what was counted against cells.
func (s *limiter) giveBack(ctx context.Context, cells ...ratelimit.Cell) error {
	if len(cells) == 0 {
		return nil
	}
	return store.UpdateAsync(ctx, s.store, limitsPartition, func(txn store.Txn) error {
		return s.table.Refund(txn, cells)
	})
}

// day is how long what is known of a mailbox is of use.
const day = 24 * time.Hour
