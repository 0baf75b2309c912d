// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
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
	network  *networkRecord
	counters []*counter
	// asked is the message that this one is about, where it is about one that was sent,
	// and class says as whose it counts.
	asked *send
	class ratelimit.Class

	entries []entry
	// mended says that they must be stored whatever comes of the message.
	mended bool
	// ofPrefix and ofNetwork say what has become of their pauses.
	ofPrefix, ofNetwork pauses
	refusal             *RefusedError
}

// pauses are what has become of a pause.
type pauses struct{ begun, ended bool }

// keep runs do over the ledger of a message, and stores them if do says so. The
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
	s.tell(b, m)
	return b, nil
}

// tell tells the observer what was stored.
func (s *Shield) tell(b *ledger, m message) {
	if b.ofPrefix.ended {
		s.observer.Resumed(b.prefix.Region)
	}
	if b.ofPrefix.begun {
		s.observer.Paused(b.prefix.Region)
	}
	if b.ofNetwork.ended {
		s.observer.NetworkResumed()
	}
	if b.ofNetwork.begun {
		s.observer.NetworkPaused()
	}
	if b.refusal != nil {
		s.observer.Refused(m.region, b.refusal.Why)
	}
}

// open reads the ledger of a message, and lifts the pauses that are over.
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
		b.prefix = &prefixRecord{Digits: m.prefix, Region: m.region, answers: s.answers()}
		load(kindPrefix, s.keys.HashTexts("shield prefix", m.prefix), b.prefix)
		b.ofPrefix.ended = b.prefix.over(b.now)
	}
	if b.class = m.class; m.about != nil {
		m.network = b.about(m)
	}
	if m.network != nil {
		b.network = &networkRecord{answers: s.answers()}
		load(kindNetwork, m.network, b.network)
		if s.conversion.Off {
			b.network.lift()
		}
		b.ofNetwork.ended = b.network.over(b.now)
	}
	b.mended = b.mended || b.ofPrefix.ended || b.ofNetwork.ended
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

// about finds the message that this one is about, and returns the network that has asked
// for it. Of one that nobody knows any more, it is a stranger who has asked.
func (b *ledger) about(m message) []string {
	if b.asked = m.about(b.number); b.asked == nil {
		b.class = ratelimit.Newcomer
		return nil
	}
	if b.class = b.asked.Class; b.asked.Network == "" {
		return nil
	}
	return []string{b.asked.Network}
}

// judge refuses a message that is asked for, and begins a pause if it is time.
func (s *Shield) judge(b *ledger, m message) {
	b.ofPrefix.begun = b.prefix != nil && b.prefix.trip(s.conversion, b.now)
	b.ofNetwork.begun = b.network != nil && b.network.trip(s.conversion.ofNetworks(), b.now)
	b.mended = b.mended || b.ofPrefix.begun || b.ofNetwork.begun
	s.judgeSpending(b, m)
	s.judgeRequest(b, m)
}

// judgeSpending refuses what there is no money for. What is for an owner may go wherever
// there is some left: what strangers have used up, or have paused, is not theirs.
func (s *Shield) judgeSpending(b *ledger, m message) {
	owner := b.class == ratelimit.Owner
	if b.prefix != nil && !owner {
		b.refuse(WhyPrefixPaused, b.prefix.paused(b.now))
	}
	if b.network != nil {
		b.refuse(WhyNetworkPaused, b.network.paused(b.now))
	}
	for _, c := range b.counters {
		if owner && c.Kind != ofTotal {
			continue
		}
		for _, budget := range s.budgets.of(c.scope()) {
			if c.Kind == ofTotal {
				budget = budget.part(100-b.class.Kept(), 1, m.cost)
			}
			b.refuse(WhyBudget, c.wait(budget, m.cost, b.now))
		}
	}
	if b.network == nil || s.part < 0 {
		return
	}
	for _, budget := range s.budgets.of(scope{kind: ofTotal}) {
		b.refuse(WhyNetwork, b.network.Spent.wait(budget.part(s.part, leastPart, m.cost), m.cost, b.now))
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
	if b.network != nil {
		b.network.Spent.add(cost, b.now)
	}
}
