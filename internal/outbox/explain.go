// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Explanations says which message of a decoy is the one a day that is sent.
type Explanations interface {
	Explain(ctx context.Context, m verification.Message) (ours bool, err error)
	Explained(ctx context.Context, m verification.Message, sent bool) error
}

// Explaining is a Sender for decoys, too: of those of one address it sends one a
// day, and is done with the others. Nobody is told who could tell by that (ADR 25).
type Explaining struct {
	Sender       Sender
	Explanations Explanations
}

var _ Sender = (*Explaining)(nil)

// explainingError defers a decoy of which it is not known whether it is the one.
type explainingError struct{ error }

// Temporary has it tried again.
func (*explainingError) Temporary() bool { return true }

// Unwrap gives access to the cause.
func (e *explainingError) Unwrap() error { return e.error }

// Send implements [Sender].
func (s *Explaining) Send(ctx context.Context, m verification.Message) error {
	if !m.Decoy {
		return s.Sender.Send(ctx, m)
	}
	ours, err := s.Explanations.Explain(ctx, m)
	if err != nil {
		return &explainingError{err}
	}
	if !ours {
		return nil
	}
	err = s.Sender.Send(ctx, m)
	if err == nil || (ctx.Err() == nil && !temporary(err)) {
		// Should it not be written down, there may be another one that day.
		_ = s.Explanations.Explained(context.WithoutCancel(ctx), m, err == nil)
	}
	return err
}
