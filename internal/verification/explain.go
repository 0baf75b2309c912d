// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// explainEvery is how often the owner of an address is told why there is no
// token, for each purpose: whoever makes such requests must not fill a mailbox.
const explainEvery = 24 * time.Hour

// Explanation is what is known of the message that explains to the owner of an
// address why there is no token, and of which there is one a day.
type Explanation struct {
	// Ours says that it is the message that was asked about.
	Ours bool
	// State is Waiting, Delivered or Failed.
	State DeliveryState
}

// explained is the note of it, beside the limits of its address.
type explained struct {
	_       struct{} `cbor:",toarray"`
	Message string
	State   DeliveryState
	Until   int64 // Unix milliseconds
}

// Explain asks, before a decoy's message is sent, whether it is the one of this
// day. The first message that asks is, and stays it however often it is tried.
func (s *Service) Explain(ctx context.Context, m Message) (e Explanation, err error) {
	err = s.explained(ctx, m, func(note *explained) bool {
		e = Explanation{Ours: note.Message == m.ID, State: note.State}
		return false
	})
	return e, err
}

// Explained notes what became of that message: Delivered or Failed.
func (s *Service) Explained(ctx context.Context, m Message, state DeliveryState) error {
	return s.explained(ctx, m, func(note *explained) bool {
		changed := note.Message == m.ID && note.State != state
		if changed {
			note.State = state
		}
		return changed
	})
}

// explained runs fn on the note of a message's address and purpose. If there is
// none, the message makes it its own.
func (s *Service) explained(ctx context.Context, m Message, fn func(*explained) (changed bool)) error {
	p, key := s.explainedKey(m.Purpose, m.Medium, m.Address)
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		var note explained
		err := s.recs.get(txn, key, &note)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		fresh := err != nil
		if fresh {
			note = explained{Message: m.ID, State: Waiting, Until: s.now().Add(explainEvery).UnixMilli()}
		}
		if !fn(&note) && !fresh {
			return nil
		}
		return s.recs.put(txn, key, note, time.UnixMilli(note.Until))
	})
}

// explainedKey is where that note is.
func (s *Service) explainedKey(purpose Purpose, medium Medium, address string) (store.Partition, string) {
	name := s.addressName(medium, address)
	return s.shard(name), kindExplained + name + "/" + string(purpose)
}
