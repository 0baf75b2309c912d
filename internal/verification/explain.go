// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// explainEvery is how often the owner of a mailbox is told why there is no
// token, for each purpose: whoever makes such requests must not fill a mailbox.
const explainEvery = 24 * time.Hour

// explained is the note of it, beside the limits of its address.
type explained struct {
	_       struct{} `cbor:",toarray"`
	Message string
	Sent    bool
}

// Explain asks, before a decoy's message is sent, whether it is the one of this
// day. The first message that asks is, until it is too old to be sent.
func (s *limiter) Explain(ctx context.Context, m Message) (ours bool, err error) {
	if m.Purpose == threepid.Password && !s.cfg.ExplainResets {
		return false, nil // whoever reads it may be somebody else
	}
	var note explained
	names := s.explainedNames(m.Purpose, mailboxOf(m.ThreePID()))
	err = s.store.Update(ctx, limitsPartition, func(txn store.Txn) error {
		note = explained{}
		_, err := kindExplained.First(txn, s.keys, names, &note)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if refused, err := s.chargeExplanation(txn, m); refused != nil || err != nil {
			return err
		}
		note = explained{Message: m.ID}
		return kindExplained.Put(txn, s.keys, kindExplained.Key(names[0]), note, m.Expires)
	})
	return note.Message == m.ID, err
}

// chargeExplanation counts an explanation: it comes last, when there is plenty.
func (s *limiter) chargeExplanation(txn store.Txn, m Message) (refused *ratelimit.Refusal, err error) {
	budget := s.budget(m.Medium)
	if budget.Limit.Off() {
		return nil, nil
	}
	budget.Kept = ratelimit.Explained.Kept()
	return s.table.Charge(txn, nil, []ratelimit.Cell{budget})
}

// Explained notes what became of that message. One that was not sent leaves the
// day to the next.
func (s *limiter) Explained(ctx context.Context, m Message, sent bool) error {
	names := s.explainedNames(m.Purpose, mailboxOf(m.ThreePID()))
	return s.store.Update(ctx, limitsPartition, func(txn store.Txn) error {
		if sent {
			return kindExplained.Put(txn, s.keys, kindExplained.Key(names[0]), explained{Message: m.ID, Sent: true}, s.now().Add(explainEvery))
		}
		for _, name := range names {
			if err := txn.Delete(kindExplained.Key(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// explainedNames are those of that note, beside the limits, by every key: it is for the
// mailbox, whatever its spelling.
func (n naming) explainedNames(purpose threepid.Purpose, of mailboxID) []string {
	return n.keys.HashTexts("explained", string(purpose), string(of.Medium), of.Address)
}

func explainedOf(n naming, purpose threepid.Purpose, id threepid.ThreePID) []string {
	return n.explainedNames(purpose, mailboxOf(id))
}
