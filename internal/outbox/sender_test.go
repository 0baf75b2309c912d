// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// oneADay is Explanations for one address.
type oneADay struct {
	message string
	sent    []string
	fault   error
}

func (o *oneADay) Explain(_ context.Context, m verification.Message) (bool, error) {
	if o.message == "" {
		o.message = m.ID
	}
	return o.message == m.ID, o.fault
}

func (o *oneADay) Explained(ctx context.Context, m verification.Message, sent bool) error {
	if !sent {
		o.message = ""
		return nil
	}
	o.sent = append(o.sent, m.ID)
	return ctx.Err()
}

// transcript is a sender that remembers.
type transcript struct {
	sent []string
	err  error
}

func (s *transcript) Send(_ context.Context, m verification.Message) error {
	if s.err == nil {
		s.sent = append(s.sent, m.ID)
	}
	return s.err
}

type trouble struct{ temporary bool }

func (trouble) Error() string     { return "trouble" }
func (t trouble) Temporary() bool { return t.temporary }

// TestOneExplanationIsSent, and nothing becomes of the others; one that is given up
// leaves the day to the next.
func TestOneExplanationIsSent(t *testing.T) {
	transport, day := &transcript{}, &oneADay{}
	s := &DecoySender{Sender: transport, Explanations: day}
	send := func(id string, decoy bool) error {
		return s.Send(t.Context(), verification.Message{ID: id, Decoy: decoy})
	}
	transport.err = trouble{temporary: true}
	if err := send("one", true); !temporary(err) {
		t.Errorf("one, while the relay is down: %v, want a temporary error", err)
	}
	if err := send("two", true); err != nil {
		t.Errorf("two, while one waits: %v, want it done with", err)
	}
	transport.err = trouble{}
	if err := send("one", true); err == nil || temporary(err) || day.message != "" {
		t.Errorf("one, when it is given up: %v and the day is that of %q", err, day.message)
	}
	transport.err = nil
	for _, id := range []string{"three", "four", "five"} {
		if err := send(id, true); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := send("real", false); err != nil {
		t.Errorf("a message with a token: %v", err)
	}
	if want := []string{"three", "real"}; !slices.Equal(transport.sent, want) || !slices.Equal(day.sent, want[:1]) {
		t.Errorf("sent were %q, want %q, and noted were %q", transport.sent, want, day.sent)
	}
	day.fault = errors.New("no store")
	if err := send("six", true); !temporary(err) || !errors.Is(err, day.fault) {
		t.Errorf("without a store: %v, want a temporary error", err)
	}
}

// TestCutOffExplanationKeepsTheDay: it is tried again.
func TestCutOffExplanationKeepsTheDay(t *testing.T) {
	day := &oneADay{}
	s := &DecoySender{Sender: &transcript{err: trouble{}}, Explanations: day}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Send(ctx, verification.Message{ID: "one", Decoy: true}); err == nil || day.message != "one" {
		t.Errorf("got %v and the day of %q, want that of the message that was cut off", err, day.message)
	}
	s.Sender = &transcript{} // this one was taken with the last reply
	if err := s.Send(ctx, verification.Message{ID: "one", Decoy: true}); err != nil || !slices.Equal(day.sent, []string{"one"}) {
		t.Errorf("got %v, and noted were %q", err, day.sent)
	}
}
