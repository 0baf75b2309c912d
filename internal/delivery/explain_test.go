// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// oneADay is Explanations for one address.
type oneADay struct {
	message string
	sent    bool
	fault   error
}

func (o *oneADay) Explain(_ context.Context, m verification.Message) (verification.Explanation, error) {
	if o.message == "" {
		o.message = m.ID
	}
	return verification.Explanation{Ours: o.message == m.ID, Sent: o.sent}, o.fault
}

func (o *oneADay) Explained(_ context.Context, _ verification.Message, sent bool) error {
	if o.sent = sent; !sent {
		o.message = ""
	}
	return nil
}

// slow is a sender that takes a second, and remembers.
type slow struct {
	sent []string
	err  error
}

func (s *slow) Send(_ context.Context, m verification.Message) error {
	time.Sleep(time.Second)
	if s.err == nil {
		s.sent = append(s.sent, m.ID)
	}
	return s.err
}

type trouble struct{ temporary bool }

func (trouble) Error() string     { return "trouble" }
func (t trouble) Temporary() bool { return t.temporary }

// TestDecoysAtTheSameMoment: nobody can tell the second from a message that is
// sent beside another.
func TestDecoysAtTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &slow{}
		s := &Explaining{Sender: transport, Explanations: &oneADay{}}
		start := time.Now()
		var wg sync.WaitGroup
		for _, id := range []string{"one", "two", "three"} {
			wg.Go(func() {
				err := s.Send(t.Context(), verification.Message{ID: id, Decoy: true})
				if took := time.Since(start); err != nil || took != time.Second {
					t.Errorf("%s: %v after %s, want it sent after a second", id, err, took)
				}
			})
		}
		wg.Wait()
		if len(transport.sent) != 1 {
			t.Errorf("sent were %q, want one", transport.sent)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = s.Send(t.Context(), verification.Message{ID: "of another", Decoy: true, Address: "b"}) }()
		go func() { _ = s.Send(ctx, verification.Message{ID: "cut off", Decoy: true, Address: "b"}) }()
		cancel()
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.turns) != 0 {
			t.Errorf("%d turns are left", len(s.turns))
		}
	})
}

// TestOneExplanationIsSent, and the others seem to be: as long after, and with
// what becomes of the one.
func TestOneExplanationIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, day := &slow{}, &oneADay{}
		s := &Explaining{Sender: transport, Explanations: day}
		took := func(id string, decoy bool) (time.Duration, error) {
			start := time.Now()
			err := s.Send(t.Context(), verification.Message{ID: id, Decoy: decoy})
			return time.Since(start), err
		}
		for _, id := range []string{"one", "two"} {
			transport.err = trouble{temporary: true}
			if _, err := took(id, true); !temporary(err) {
				t.Errorf("%s, while the relay is down: %v, want a temporary error", id, err)
			}
		}
		transport.err = trouble{}
		if _, err := took("one", true); err == nil || temporary(err) || day.message != "" {
			t.Errorf("one, when it is given up: %v and the day is that of %q", err, day.message)
		}
		transport.err = nil
		for _, id := range []string{"two", "three", "four"} {
			if d, err := took(id, true); err != nil || d != time.Second {
				t.Errorf("%s: %v after %s, want it sent after a second", id, err, d)
			}
		}
		if d, err := took("real", false); err != nil || d != time.Second {
			t.Errorf("a message with a token: %v after %s", err, d)
		}
		if want := []string{"two", "real"}; !slices.Equal(transport.sent, want) {
			t.Errorf("sent were %q, want %q", transport.sent, want)
		}
		day.fault = errors.New("no store")
		if _, err := took("five", true); !temporary(err) || !errors.Is(err, day.fault) {
			t.Errorf("without a store: %v, want a temporary error", err)
		}
		day.fault = nil
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Send(ctx, verification.Message{ID: "six", Decoy: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("cut off: %v", err)
		}
	})
}
