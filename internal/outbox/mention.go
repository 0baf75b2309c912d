// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// OpenRequests knows which requests for an address are open.
type OpenRequests interface {
	// NoteOpen notes the one of a message, and reports whether another is open.
	NoteOpen(ctx context.Context, m verification.Message) (bool, error)
}

// Mentioning is a Sender whose messages mention that another request like theirs
// is open. What it costs to find out is spent here, where no client waits.
type Mentioning struct {
	Sender Sender
	Open   OpenRequests
}

var _ Sender = (*Mentioning)(nil)

// Send implements [Sender]. A message that proves nothing is nobody's other
// request; and where it cannot be found out, a message without it is better than
// none.
func (s *Mentioning) Send(ctx context.Context, m verification.Message) error {
	if !m.Decoy && m.Notice == "" {
		another, err := s.Open.NoteOpen(ctx, m)
		m.Another = another && err == nil
	}
	return s.Sender.Send(ctx, m)
}
