// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Reservation is a message that was counted and may be sent. It need not be
// closed; [Shield.Release] is for what was not sent after all.
type Reservation struct {
	message message
	id      uint64
	at      time.Time
}

// Reserve counts a message that is about to be sent, everywhere or nowhere. It
// returns a [*RefusedError] if the message must not be sent. So must it not after any
// other error: the message may have been counted, and was not allowed.
func (s *Shield) Reserve(ctx context.Context, r Request) (*Reservation, error) {
	m, err := s.spending(r)
	if err != nil {
		return nil, err
	}
	if !s.policy.allows(r.Digits, m.region) {
		s.observer.Refused(m.region, WhyCountry)
		return nil, &RefusedError{Why: WhyCountry}
	}
	m.number = numberNames(s.keys, r.Digits)
	if client := ratelimit.Narrow(r.Client); client != "" && r.Class != ratelimit.Owner && (s.numbers > 0 || s.countries > 0) {
		m.client = s.keys.HashTexts("shield client", string(client))
	}
	if s.part > 0 || !s.conversion.Off {
		m.network = s.networkNames(r.Client)
	}
	res := &Reservation{message: m, id: newID()}
	b, err := s.update(ctx, m, func(b *ledger) bool {
		s.judge(b, m)
		if b.refusal != nil {
			return false
		}
		b.enter(res)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reserve message: %w", err)
	}
	if b.refusal != nil {
		return nil, b.refusal
	}
	s.observer.Spent(m.region, m.segments, m.cost)
	return res, nil
}

// newID names one reservation; two of one number on one day must differ.
func newID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails; see crypto/rand
	return binary.BigEndian.Uint64(b[:])
}

// enter counts a message everywhere.
func (b *ledger) enter(res *Reservation) {
	m := res.message
	res.at = b.now
	b.spend(m.cost)
	sent := send{At: b.now.UnixNano(), ID: res.id, Class: m.class}
	if b.client != nil {
		sent.Client = m.client[0]
		b.client.add(m.number, m.region, b.now)
	}
	if m.network != nil {
		sent.Network = m.network[0]
	}
	b.number.Sends = append(b.number.Sends, sent)
	b.number.tidy(b.now) // in order, should the clock be a little behind
	if b.prefix != nil {
		b.prefix.Region = m.region
		b.prefix.sent(b.now)
	}
	if b.network != nil {
		b.network.sent(b.now)
	}
}

// Release gives everything back that a message was counted with, because it was
// not sent. Doing so twice gives it back once; so does it not if the number was
// forgotten meanwhile.
func (s *Shield) Release(ctx context.Context, res *Reservation) error {
	if res == nil {
		return nil
	}
	m := res.message
	_, err := s.update(ctx, m, func(b *ledger) bool {
		if !b.number.take(res.id) {
			return false
		}
		for _, c := range b.counters {
			c.take(m.cost, res.at, b.now)
		}
		if b.client != nil {
			b.client.take(m.number, b.number.lastBy(m.client))
		}
		if b.prefix != nil {
			b.prefix.take(res.at, b.now)
		}
		if b.network != nil {
			b.network.Spent.take(m.cost, res.at, b.now)
			b.network.take(res.at, b.now)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("release message: %w", err)
	}
	return nil
}

// Charge counts one more paid call for a message that was reserved: a second
// gateway is asked because the first one may or may not have sent it. It is the
// same message to the number, the client and the statistics, and only budgets and
// pauses can refuse it. Who has asked for it is known from the number's newest message.
func (s *Shield) Charge(ctx context.Context, r Request) error {
	m, err := s.spending(r)
	if err != nil {
		return err
	}
	m.number, m.about = numberNames(s.keys, r.Digits), (*numberRecord).last
	b, err := s.update(ctx, m, func(b *ledger) bool {
		if s.judgeSpending(b, m); b.refusal != nil {
			return false
		}
		b.spend(m.cost)
		return true
	})
	if err != nil {
		return fmt.Errorf("charge message: %w", err)
	}
	if b.refusal != nil {
		return b.refusal
	}
	s.observer.Spent(m.region, m.segments, m.cost)
	return nil
}

// Verified notes that a code came back, and from which client; the zero address if that
// is not known. The caller says so once per session. Whoever has asked for the code has
// the credit: they may have done so with another device.
func (s *Shield) Verified(ctx context.Context, digits, region string, from netip.Addr) error {
	m, err := s.returning(digits, region)
	if err != nil || m.prefix == "" {
		return err
	}
	network := s.networkNames(from)
	m.number, m.about = numberNames(s.keys, digits), func(n *numberRecord) *send { return n.awaited(network) }
	_, err = s.update(ctx, m, func(b *ledger) bool {
		b.prefix.verified(b.now)
		if b.asked != nil {
			b.asked.Back = true
		}
		if b.network != nil {
			b.network.verified(b.now)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("note verification: %w", err)
	}
	return nil
}

// NumberState is what a number has had, and what it would be told now.
type NumberState struct {
	// Sent is how many messages it has had within a day, of at most Limit.
	Sent, Limit int
	// Refused is why another one would not be sent now, or nil.
	Refused *RefusedError
}

// Ask is what [Shield.Reserve] would say of a message, and counts nothing. Nobody
// asks for it, so no client is counted.
func (s *Shield) Ask(ctx context.Context, r Request) (NumberState, error) {
	m, err := s.spending(r)
	if err != nil {
		return NumberState{}, err
	}
	m.number = numberNames(s.keys, r.Digits)
	var b *ledger
	err = s.store.View(ctx, partition, func(txn store.Txn) error {
		b = &ledger{now: s.now()}
		return s.open(txn, m, b)
	})
	if err != nil {
		return NumberState{}, fmt.Errorf("look at number: %w", err)
	}
	s.judge(b, m)
	if !s.policy.allows(r.Digits, m.region) {
		b.refusal = &RefusedError{Why: WhyCountry}
	}
	return NumberState{Sent: len(b.number.Sends), Limit: s.perNumber, Refused: b.refusal}, nil
}
