// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// ledger has the records that one message is counted in, within a transaction.
// What the message does not name is nil, or empty.
type ledger struct {
	now      time.Time
	number   *numberRecord
	client   *clientRecord
	prefix   *prefixRecord
	counters []*counter

	entries []entry
	// mended says that they must be stored whatever comes of the message.
	mended bool
	// paused and resumed say what has become of the prefix.
	paused, resumed bool
	refusal         *RefusedError
}

// update runs do over the ledger of a message, and stores them if do says so. The
// clock is read inside: the wait for other transactions is over.
func (s *Shield) update(ctx context.Context, m message, do func(*ledger) (changed bool)) (*ledger, error) {
	var b *ledger
	err := s.store.Update(ctx, partition, func(txn store.Txn) (err error) {
		b = &ledger{now: s.now()}
		if err = s.open(txn, m, b); err != nil {
			return err
		}
		if !do(b) && !b.mended {
			return nil
		}
		for _, e := range b.entries {
			if err := s.codec.save(txn, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if b.resumed {
		s.observer.Resumed(b.prefix.Region)
	}
	if b.paused {
		s.observer.Paused(b.prefix.Region)
	}
	if b.refusal != nil {
		s.observer.Refused(m.region, b.refusal.Why)
	}
	return b, nil
}

// open reads the ledger of a message, and lifts a pause that is over.
func (s *Shield) open(txn store.Txn, m message, b *ledger) error {
	var failed error
	load := func(kind *sealed.Kind, names []string, rec record) {
		if failed != nil {
			return
		}
		e, mended, err := s.codec.load(txn, kind, names, rec, b.now)
		b.entries, b.mended, failed = append(b.entries, e), b.mended || mended, err
	}
	b.number = &numberRecord{} // stays empty where nobody asks for a number
	load(kindNumber, m.number, b.number)
	if m.client != nil {
		b.client = &clientRecord{}
		load(kindClient, m.client, b.client)
	}
	if m.prefix != "" {
		sp := s.conversion.span()
		b.prefix = &prefixRecord{Digits: m.prefix, Region: m.region, Size: sp.size, span: sp}
		load(kindPrefix, s.keys.HashTexts("shield prefix", m.prefix), b.prefix)
		b.resumed = b.prefix.over(b.now)
		b.mended = b.mended || b.resumed
	}
	for _, sc := range m.counters {
		c := &counter{Kind: sc.kind, Of: sc.of}
		load(kindCounter, s.keys.HashTexts("shield counter", string(sc.kind), sc.of), c)
		b.counters = append(b.counters, c)
	}
	return failed
}

// refuse notes a reason, unless there is one already; the longest wait counts.
func (b *ledger) refuse(why Why, wait time.Duration) {
	if wait <= 0 {
		return
	}
	if b.refusal == nil {
		b.refusal = &RefusedError{Why: why}
	}
	b.refusal.RetryAfter = max(b.refusal.RetryAfter, wait)
}

// judge refuses a message that is asked for, and begins a pause if it is time.
func (s *Shield) judge(b *ledger, m message) {
	if b.prefix != nil && b.prefix.Until == 0 && b.prefix.trip(s.conversion, b.now) {
		b.paused, b.mended = true, true
	}
	s.judgeSpending(b, m)
	s.judgeRequest(b, m)
}

// judgeSpending refuses what there is no money for.
func (s *Shield) judgeSpending(b *ledger, m message) {
	if b.prefix != nil {
		b.refuse(WhyPrefixPaused, b.prefix.paused(b.now))
	}
	for _, c := range b.counters {
		for _, budget := range s.budgets.of(c.scope()) {
			b.refuse(WhyBudget, c.wait(budget, m.cost, b.now))
		}
	}
}

// judgeRequest refuses what the number or the client has had enough of.
func (s *Shield) judgeRequest(b *ledger, m message) {
	b.refuse(WhyNumber, b.number.full(s.perNumber, b.now))
	if b.client != nil {
		b.refuse(WhyClientNumbers, b.client.numbersWait(s.numbers, m.number, b.now))
		b.refuse(WhyClientCountries, b.client.countriesWait(s.countries, m.region, b.now))
	}
	if early := b.number.early(s.backoff, b.now); early > 0 {
		b.refuse(WhyBackoff, early)
		b.refusal.Early = true
	}
}

func (b *ledger) spend(cost Money) {
	for _, c := range b.counters {
		c.add(cost, b.now)
	}
}
