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
// new tat, or how long to wait.
func (l Limit) hit(tat, now time.Time) (time.Time, time.Duration) {
	interval := l.Per / time.Duration(l.Burst)
	if tat.Before(now) {
		tat = now
	}
	next := tat.Add(interval)
	if wait := next.Sub(now) - l.Per; wait > 0 {
		return tat, wait
	}
	return next, 0
}

// limited counts one request against an address, whichever its purpose and
// whether or not it will send: a flood of repeats is a flood too. An address
// that is cooling down is refused whatever its limit.
func (s *Service) limited(ctx context.Context, medium Medium, address string) error {
	names := s.addressNames(medium, address)
	cooling, err := s.before(ctx, kindCool, names[1:], time.UnixMilli)
	if err != nil {
		return err
	}
	return s.count(ctx, s.cfg.PerAddress, names, func(txn store.Txn) (time.Duration, error) {
		wait, err := s.cooling(txn, names[0])
		return max(wait, cooling.Sub(s.now())), err
	})
}

// addressName stands for an address in the keys of its limits, all of which
// are in one partition.
func (s *Service) addressName(medium Medium, address string) string {
	return s.addressNames(medium, address)[0]
}

// addressNames are the names by every key, the one in use first.
func (s *Service) addressNames(medium Medium, address string) []string {
	return s.keys.HashTexts("limit address", string(medium), address)
}

// CountUser counts one action of a user, and refuses it with a LimitError if
// there were too many: MSC2290 asks for that where addresses are added and
// bound.
func (s *Service) CountUser(ctx context.Context, action, user string) error {
	if s.cfg.PerUser.off() {
		return nil
	}
	return s.count(ctx, s.cfg.PerUser, s.keys.HashTexts("limit user", action, user), nil)
}

// count counts against what a name stands for, unless bar says how long it is
// barred for another reason. What was counted under its former names counts.
func (s *Service) count(ctx context.Context, limit Limit, names []string, bar func(store.Txn) (time.Duration, error)) error {
	former, err := s.before(ctx, kindLimit, names[1:], time.UnixMicro)
	if err != nil {
		return err
	}
	var wait time.Duration
	hit := func(txn store.Txn) (err error) {
		if bar != nil {
			if wait, err = bar(txn); err != nil || wait > 0 {
				return err
			}
		}
		if limit.off() {
			return nil
		}
		wait, err = s.hit(txn, limit, kindLimit+names[0], former)
		return err
	}
	access := s.store.Update
	if limit.off() {
		access = s.store.View // there is nothing to be written
	}
	if err := access(ctx, s.shard(names[0]), hit); err != nil {
		return err
	}
	if wait > 0 {
		return &LimitError{RetryAfter: wait}
	}
	return nil
}

// hit applies a limit to its entry and returns how long to wait. Without an
// entry, tat is the one under a former name.
func (s *Service) hit(txn store.Txn, limit Limit, key string, tat time.Time) (time.Duration, error) {
	raw, err := txn.Get(key)
	if err == nil && len(raw) == 8 {
		tat = time.UnixMicro(int64(binary.BigEndian.Uint64(raw)))
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	tat, wait := limit.hit(tat, s.now())
	if wait > 0 {
		return wait, nil
	}
	return 0, txn.Set(key, binary.BigEndian.AppendUint64(nil, uint64(tat.UnixMicro())), tat)
}
