// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Explanations says which message of a decoy is the one a day that is sent.
type Explanations interface {
	Explain(ctx context.Context, m verification.Message) (verification.Explanation, error)
	Explained(ctx context.Context, m verification.Message, sent bool) error
}

// Explaining is a Sender for decoys, too: of those of one address it sends one
// a day, and the others only seem to be sent. A client can ask what became of
// its message, so they take as long as a message takes, and wait where the one
// that is to be sent waits.
type Explaining struct {
	Sender       Sender
	Explanations Explanations

	last atomic.Int64 // how long the last send took
}

var _ Sender = (*Explaining)(nil)

// errExplaining defers a decoy until the message that explains is sent.
var errExplaining = &explainingError{errors.New("another message explains, and is not sent yet")}

// explainingError is temporary, and never the message's fault.
type explainingError struct{ error }

// Temporary has it tried again.
func (*explainingError) Temporary() bool { return true }

// Unwrap gives access to the cause.
func (e *explainingError) Unwrap() error { return e.error }

// Send implements [Sender].
func (s *Explaining) Send(ctx context.Context, m verification.Message) error {
	if !m.Decoy {
		return s.send(ctx, m)
	}
	found, err := s.Explanations.Explain(ctx, m)
	switch {
	case err != nil:
		return &explainingError{err}
	case found.Sent:
		return s.pretend(ctx)
	case !found.Ours:
		return errExplaining
	}
	err = s.send(ctx, m)
	if err == nil || (ctx.Err() == nil && !temporary(err)) {
		// Should it not be written down, there may be another one that day.
		_ = s.Explanations.Explained(context.WithoutCancel(ctx), m, err == nil)
	}
	return err
}

func (s *Explaining) send(ctx context.Context, m verification.Message) error {
	start := time.Now()
	err := s.Sender.Send(ctx, m)
	if err == nil {
		s.last.Store(int64(time.Since(start)))
	}
	return err
}

// pretend takes as long as the last send.
func (s *Explaining) pretend(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(s.last.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
