// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Limit is a rate limit: Burst requests at once, refilled evenly over Per. The
// zero Limit is off.
type Limit struct {
	Burst int
	Per   time.Duration
}

func (l Limit) off() bool { return l.Burst <= 0 || l.Per <= 0 }

// hit is the generic cell rate algorithm (ITU-T I.371): one timestamp, the
// theoretical arrival time (tat), is all the state there is. It returns the
// new tat, or how long to wait. One request costs a share of what is refilled
// for one: 1/1 for all but those that send nothing.
func (l Limit) hit(tat, now time.Time, share int) (time.Time, time.Duration) {
	tat = l.within(tat, now)
	next := tat.Add(l.cost(share))
	if wait := next.Sub(now) - l.Per; wait > 0 {
		return tat, wait
	}
	return next, 0
}

func (l Limit) cost(share int) time.Duration {
	return l.Per / time.Duration(l.Burst) / time.Duration(share)
}

// within bounds a tat by what the limit itself can bring it to. Others are
// there when the clock was set back, or the limit was made smaller: nobody
// must be locked out for longer than Per.
func (l Limit) within(tat, now time.Time) time.Time {
	if tat.Before(now) {
		return now
	}
	if latest := now.Add(l.Per); tat.After(latest) {
		return latest
	}
	return tat
}

// cell is one limit for one subject: what a request counts against.
type cell struct {
	limit Limit
	kind  LimitKind
	// names are those by every key, the one in use first: what was counted
	// before a change of keys still counts.
	names []string
	// share makes one of so many repetitions cost as much as one request.
	share int
	// refund is what is given back of what it has cost.
	refund time.Duration
	// dryRun refuses where there is no room, and counts nothing.
	dryRun bool
}

// limitsPartition is where all limits are. In one partition, one transaction
// counts a request against all of them or against none. The budget is a single
// cell anyway that every message meets.
var limitsPartition = kindLimit.Partition("")

// spend counts against all cells, or against none if one refuses; then the
// error says how long the slowest wants to be waited for. An address that cools
// down is refused whatever the limits are; cool are its names, or none.
func (s *Service) spend(ctx context.Context, cool []string, cells ...cell) error {
	var refused *LimitError
	// Whatever it is counted for waits for the disk by itself.
	err := store.UpdateAsync(ctx, s.store, limitsPartition, func(txn store.Txn) error {
		wait, err := s.cooling(txn, cool)
		if err != nil || wait > 0 {
			refused = &LimitError{RetryAfter: wait, Limit: LimitCooldown}
			return err
		}
		refused, err = s.charge(txn, cells)
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
func (s *Service) charge(txn store.Txn, cells []cell) (refused *LimitError, err error) {
	now := s.now()
	tats := make([]time.Time, len(cells))
	for i, c := range cells {
		tat, err := readTAT(txn, c.names)
		if err != nil {
			return nil, err
		}
		next, wait := c.limit.hit(tat, now, c.share)
		if wait > 0 && (refused == nil || wait > refused.RetryAfter) {
			refused = &LimitError{RetryAfter: wait, Limit: c.kind}
		}
		tats[i] = next
	}
	if refused != nil {
		return refused, nil
	}
	for i, c := range cells {
		if c.dryRun {
			continue
		}
		if err := writeTAT(txn, c.names[0], tats[i]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// giveBack undoes, in whole or in part, what was counted against cells.
func (s *Service) giveBack(ctx context.Context, cells ...cell) error {
	if len(cells) == 0 {
		return nil
	}
	return store.UpdateAsync(ctx, s.store, limitsPartition, func(txn store.Txn) error {
		return refund(txn, cells)
	})
}

// refund is giveBack in a transaction.
func refund(txn store.Txn, cells []cell) error {
	for _, c := range cells {
		tat, err := readTAT(txn, c.names)
		if err != nil {
			return err
		}
		if tat.IsZero() {
			continue
		}
		// A time that has passed deletes the entry.
		if err := writeTAT(txn, c.names[0], tat.Add(-c.refund)); err != nil {
			return err
		}
	}
	return nil
}

// readTAT is the latest under any of the names, and zero where there is none.
func readTAT(txn store.Txn, names []string) (latest time.Time, err error) {
	for _, name := range names {
		raw, err := txn.Get(kindLimit.Key(name))
		if errors.Is(err, store.ErrNotFound) || (err == nil && len(raw) != 8) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		if tat := time.UnixMicro(int64(binary.BigEndian.Uint64(raw))); tat.After(latest) {
			latest = tat
		}
	}
	return latest, nil
}

func writeTAT(txn store.Txn, name string, tat time.Time) error {
	return kindLimit.Set(txn, kindLimit.Key(name), binary.BigEndian.AppendUint64(nil, uint64(tat.UnixMicro())), tat)
}
