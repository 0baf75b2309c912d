// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"sync"
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

	mu    sync.Mutex
	turns map[turn]chan struct{} // closed when a send is over
}

// turn is what decoys are sent one after the other by. Of two at the same moment
// the second would be deferred otherwise, which no other message is.
type turn struct {
	purpose verification.Purpose
	medium  verification.Medium
	address string
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
	start := time.Now()
	if sent, err := s.explain(ctx, m); !sent || err != nil {
		return err
	}
	return s.pretend(ctx, start)
}

// explain sends the message that is to be sent, and reports whether there was one
// before.
func (s *Explaining) explain(ctx context.Context, m verification.Message) (before bool, err error) {
	over, err := s.wait(ctx, turn{m.Purpose, m.Medium, m.Address})
	if err != nil {
		return false, err
	}
	defer over()
	found, err := s.Explanations.Explain(ctx, m)
	switch {
	case err != nil:
		return false, &explainingError{err}
	case found.Sent:
		return true, nil
	case !found.Ours:
		return false, errExplaining
	}
	err = s.send(ctx, m)
	if err == nil || (ctx.Err() == nil && !temporary(err)) {
		// Should it not be written down, there may be another one that day.
		_ = s.Explanations.Explained(context.WithoutCancel(ctx), m, err == nil)
	}
	return false, err
}

// wait takes a turn.
func (s *Explaining) wait(ctx context.Context, t turn) (over func(), err error) {
	for {
		s.mu.Lock()
		busy, taken := s.turns[t]
		if !taken {
			break
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer s.mu.Unlock()
	if s.turns == nil {
		s.turns = map[turn]chan struct{}{}
	}
	done := make(chan struct{})
	s.turns[t] = done
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.turns, t)
		close(done)
	}, nil
}

func (s *Explaining) send(ctx context.Context, m verification.Message) error {
	start := time.Now()
	err := s.Sender.Send(ctx, m)
	if err == nil {
		s.last.Store(int64(time.Since(start)))
	}
	return err
}

// pretend takes as long as the last send, since a moment.
func (s *Explaining) pretend(ctx context.Context, start time.Time) error {
	timer := time.NewTimer(time.Duration(s.last.Load()) - time.Since(start))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
