// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"fmt"

	"github.com/caddy-threepid/caddy-threepid/store"
)

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
	var b *books
	err = s.store.View(ctx, partition, func(txn store.Txn) error {
		b = &books{now: s.now()}
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
