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
// whether or not it will send: a flood of repeats is a flood too.
func (s *Service) limited(ctx context.Context, req Request) error {
	return s.count(ctx, s.cfg.PerAddress, "limit address", string(req.Medium), req.Address)
}

// CountUser counts one action of a user, and refuses it with a LimitError if
// there were too many: MSC2290 asks for that where addresses are added and
// bound.
func (s *Service) CountUser(ctx context.Context, action, user string) error {
	return s.count(ctx, s.cfg.PerUser, "limit user", action, user)
}

// count counts against whatever a label and its parts name.
func (s *Service) count(ctx context.Context, limit Limit, label string, parts ...string) error {
	if limit.off() {
		return nil
	}
	name := s.keys.HashText(label, parts...)
	p := s.shard(name)
	var wait time.Duration
	err := s.store.Update(ctx, p, func(txn store.Txn) error {
		var tat time.Time
		raw, err := txn.Get(kindLimit + name)
		if err == nil && len(raw) == 8 {
			tat = time.UnixMicro(int64(binary.BigEndian.Uint64(raw)))
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		tat, wait = limit.hit(tat, s.now())
		if wait > 0 {
			return nil
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(tat.UnixMicro()))
		return txn.Set(kindLimit+name, value, tat)
	})
	if err != nil {
		return err
	}
	if wait > 0 {
		return &LimitError{RetryAfter: wait}
	}
	return nil
}
