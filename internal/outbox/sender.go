// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Sender brings one message to its address. It must return soon after ctx has
// ended: the message's lease outlasts ctx by little.
//
// An error that has a method Temporary() bool returning true is tried again,
// and so is one that comes when ctx has ended; any other is final. A method
// RetryAfter() time.Duration says how long not to; Operator() bool returning
// true says that the message is not at fault. Uncertain() bool returning true
// says that the message may have been sent all the same; the next try is told.
type Sender interface {
	Send(ctx context.Context, m verification.Message) error
}

// Explanations says which message of a decoy is the one a day that is sent.
type Explanations interface {
	Explain(ctx context.Context, m verification.Message) (ours bool, err error)
	Explained(ctx context.Context, m verification.Message, sent bool) error
}

// DecoySender is a Sender for decoys, too: of those of one address it sends one a
// day, and is done with the others. Nobody is told who could tell by that (ADR 25).
type DecoySender struct {
	Sender       Sender
	Explanations Explanations
}

// explainingError defers a decoy of which it is not known whether it is the one.
type explainingError struct{ error }

// Temporary has it tried again.
func (*explainingError) Temporary() bool { return true }

// Unwrap gives access to the cause.
func (e *explainingError) Unwrap() error { return e.error }

func (s *DecoySender) Send(ctx context.Context, m verification.Message) error {
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

// OpenRequests knows which requests for an address are open.
type OpenRequests interface {
	// NoteOpen notes the one of a message, and reports whether another is open.
	NoteOpen(ctx context.Context, m verification.Message) (bool, error)
}

// MentionSender is a Sender whose messages mention that another request like theirs
// is open. What it costs to find out is spent here, where no client waits.
type MentionSender struct {
	Sender Sender
	Open   OpenRequests
}

// Send implements [Sender]. A message that proves nothing is nobody's other
// request; and where it cannot be found out, a message without it is better than
// none.
func (s *MentionSender) Send(ctx context.Context, m verification.Message) error {
	if !m.Decoy && m.Notice == "" {
		another, err := s.Open.NoteOpen(ctx, m)
		m.Another = another && err == nil
	}
	return s.Sender.Send(ctx, m)
}
