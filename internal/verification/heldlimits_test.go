// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// tryHold opens a session whose message is held, and returns which limit has refused.
func (f *fixture) tryHold(t *testing.T, req Request) ratelimit.Kind {
	t.Helper()
	if _, err := f.RequestToken(bg, req); err != nil {
		return refusedBy(t, err)
	}
	return refusedBy(t, f.Hold(bg, req, false))
}

// nth is a request of its own: another registration, address and session.
func nth(n int) Request {
	return ask(held(threepid.UIASession(fmt.Sprint("u", n))), mailbox(fmt.Sprintf("a%d@example.com", n)), secret(fmt.Sprint("s", n)))
}

// TestGate_HeldRequestsAreBounded: whoever has as many clients as they like, and
// never goes on with a registration, does not fill the store, nor take more than half
// of what may be sent from those who do.
func TestGate_HeldRequestsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		messages    ratelimit.Limit
		once, atAll int
	}{
		"a budget": {ratelimit.Limit{Burst: 40, Per: time.Hour}, 10, 20},
		"none":     {ratelimit.Limit{}, 500, 1000},
	} {
		f := newFixture(t, func(cfg *Config) { cfg.Messages = c.messages })
		ok, n := 0, 0
		for range 2 * c.atAll {
			if n++; f.tryHold(t, nth(n)) == "" {
				ok++
			}
		}
		if ok != c.once || f.entries(kindProgress) != c.once {
			t.Errorf("%s: got %d requests held, and %d entries, want %d", name, ok, f.entries(kindProgress), c.once)
		}
		for range 59 {
			f.clock.Advance(time.Minute)
			for range c.once {
				n++
				f.tryHold(t, nth(n))
			}
			if got := f.entries(kindProgress); got > c.atAll {
				t.Fatalf("%s: got %d held, want %d at most", name, got, c.atAll)
			}
		}
		if got := f.open(ask(purpose(threepid.Password))); !got.Sent {
			t.Errorf("%s: nothing is left for those who hold nothing", name)
		}
	}
}

// TestGate_HeldRequestsTakeFromTheBudget, and are refused when it is empty.
func TestGate_HeldRequestsTakeFromTheBudget(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 8, Per: time.Hour} })
	for n := range 2 {
		if got := f.tryHold(t, nth(n)); got != "" {
			t.Fatalf("request %d: refused by %q", n, got)
		}
	}
	sent := 0
	for n := range 10 {
		_, err := f.RequestToken(bg, ask(granted, secret(fmt.Sprint(n))))
		if refusedBy(t, err) == "" {
			sent++
		}
	}
	if sent != 6 {
		t.Errorf("got %d more messages, want 6", sent)
	}
	f.advance("u0")
	f.advance("u1") // they have paid
	if got := f.tryHold(t, nth(2)); got != LimitMessages {
		t.Errorf("got refused by %q, want by the budget", got)
	}
	if got := f.entries(kindSession); got != 8 {
		t.Errorf("got %d sessions, want none of the request that was refused", got)
	}
}

// TestGate_ARepetitionIsNotHeldAgain: what is held already needs no room.
func TestGate_ARepetitionIsNotHeldAgain(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 4, Per: time.Hour} })
	f.hold(nth(1))
	for range 5 {
		if got := f.tryHold(t, nth(1)); got != "" {
			t.Errorf("got refused by %q, want the same answer again", got)
		}
	}
	if got := f.tryHold(t, nth(2)); got != LimitHeld {
		t.Errorf("got refused by %q, want by the bound on what is held", got)
	}
}

// TestGate_TheLastRoomIsTakenOnce: of two that have seen it, one is told that it is gone.
func TestGate_TheLastRoomIsTakenOnce(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 4, Per: time.Hour} })
	f.open(nth(1))
	f.open(nth(2))
	wantErr(t, "the first", f.Hold(bg, nth(1), false), nil)
	if got := refusedBy(t, f.Hold(bg, nth(2), false)); got != LimitHeld || f.entries(kindProgress) != 1 {
		t.Errorf("the second is refused by %q, with %d held, want by the bound on that, and one", got, f.entries(kindProgress))
	}
}

// TestGate_AHeldRequestIsPaidForOnce: not when it is replaced, nor when it is released.
func TestGate_AHeldRequestIsPaidForOnce(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 8, Per: time.Hour} })
	left := func() int {
		t.Helper()
		room := f.room(t, f.budget(threepid.Email))
		return room
	}
	f.hold(nth(1))
	for n := range int64(20) {
		f.hold(ask(held("u1"), attempt(2+n)))
	}
	if got := left(); got != 7 {
		t.Errorf("got room for %d messages with one request held, want 7", got)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := f.Advance(bg, "u1", threepid.Email); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := left(); got != 7 || len(f.outbox.messages()) != 1 {
		t.Errorf("got room for %d after %d messages, want 7 after 1", got, len(f.outbox.messages()))
	}
	if got := f.room(t, f.holding()); got != f.holding().Limit.Burst {
		t.Errorf("got room for %d held requests, want for all %d", got, f.holding().Limit.Burst)
	}
}

// room is how many more count against a cell now.
func (f *fixture) room(t *testing.T, c ratelimit.Cell) (n int) {
	t.Helper()
	c.Refund = c.Limit.Cost(1)
	for f.spend(bg, c) == nil {
		n++
	}
	for range n {
		if err := f.giveBack(bg, c); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestGate_WhatIsNotSentIsGivenBack: once, and only where it is known.
func TestGate_WhatIsNotSentIsGivenBack(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 12, Per: 24 * time.Hour} })
	sid := f.hold(nth(1))
	f.outbox.refuse = errors.New("full")
	for range 5 { // clients poll
		if _, err := f.Advance(bg, "u1", threepid.Email); !errors.Is(err, f.outbox.refuse) {
			t.Fatalf("got %v, want the outbox's error", err)
		}
	}
	f.outbox.refuse = nil
	if got := f.room(t, f.budget(threepid.Email)); got != 11 {
		t.Errorf("got room for %d while it waits, want 11", got)
	}
	wantErr(t, "revoke", f.RevokeSession(bg, sid), nil)
	var wg sync.WaitGroup
	f.hold(nth(2))
	f.hold(nth(3))
	for range 10 {
		wg.Go(func() { _, _ = f.Advance(bg, "u1", threepid.Email) })
	}
	wg.Wait()
	if got := f.room(t, f.budget(threepid.Email)); got != 10 {
		t.Errorf("got room for %d after one of three was revoked, want 10", got)
	}
	// What expires gives nothing back: the limit on it has refilled by then.
	f.clock.Advance(progressTime)
	f.advance("u2")
	if got := len(f.outbox.messages()); got != 0 {
		t.Errorf("got %d messages, want none", got)
	}
	if got := f.room(t, f.holding()); got != f.holding().Limit.Burst {
		t.Errorf("got room for %d held requests, want for all %d", got, f.holding().Limit.Burst)
	}
}

// TestGate_AnExpiredHoldIsPaidForAnew: nobody saves up messages by repeating what was
// held, hour after hour.
func TestGate_AnExpiredHoldIsPaidForAnew(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 8, Per: 24 * time.Hour} })
	for hour := range 8 {
		if got := f.tryHold(t, nth(1)); got != "" {
			t.Fatalf("hour %d: refused by %q", hour, got)
		}
		f.clock.Advance(progressTime)
	}
	if got := f.room(t, f.budget(threepid.Email)); got > 3 {
		t.Errorf("got room for %d, want what a third of the day refills at most", got)
	}
}

// TestGate_ARenewedHoldIsPaidForAnew: nobody keeps more and more of them by asking for
// each again before it ends.
func TestGate_ARenewedHoldIsPaidForAnew(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 40, Per: time.Hour} })
	n := 0
	for range 12 {
		for n++; f.tryHold(t, nth(n)) == ""; n++ {
		}
		for all, i := n, 1; i <= all; i++ {
			f.tryHold(t, nth(i))
		}
		if got := f.entries(kindProgress); got > 20 {
			t.Fatalf("got %d held, want 20 at most", got)
		}
		f.clock.Advance(25 * time.Minute)
	}
	// Within half an hour it costs nothing, and as much again after that.
	f = newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 40, Per: time.Hour} })
	f.hold(nth(1))
	f.clock.Advance(30 * time.Minute)
	f.hold(ask(held("u1"), attempt(2)))
	if got := f.room(t, f.budget(threepid.Email)); got != 40 {
		t.Errorf("got room for %d, want what has refilled: all", got)
	}
	f.clock.Advance(29 * time.Minute)
	f.advance("u1")
	if got := f.outbox.last(t).Attempt; got != 2 {
		t.Errorf("got the message of attempt %d, want the newest", got)
	}
	f = newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 40, Per: time.Hour} })
	f.hold(nth(1))
	f.clock.Advance(31 * time.Minute)
	f.hold(ask(held("u1"), attempt(2)))
	if got := f.room(t, f.budget(threepid.Email)); got != 39 {
		t.Errorf("got room for %d, want what has refilled but for the renewed one", got)
	}
}

// TestGate_ConcurrentHolds at two nodes keep to the bound.
func TestGate_ConcurrentHolds(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 40, Per: time.Hour} })
	other, err := NewService(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var ok atomic.Int64
	var wg sync.WaitGroup
	for n := range 200 {
		node := []*Service{f.Service, other}[n%2]
		wg.Go(func() {
			_, err := node.RequestToken(bg, nth(n))
			if err == nil {
				err = node.Hold(bg, nth(n), false)
			}
			if err == nil {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	if got := ok.Load(); got != 10 || f.entries(kindProgress) != 10 {
		t.Errorf("got %d held and %d entries, want 10", got, f.entries(kindProgress))
	}
}
