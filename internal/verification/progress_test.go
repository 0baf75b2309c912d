// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func held(uia threepid.UIASession) func(*Request) {
	return func(r *Request) { r.UIA, r.Held = uia, true }
}

// hold opens a session whose message is held.
func (f *fixture) hold(req Request) threepid.SID {
	f.Helper()
	got := f.open(req)
	if got.Sent {
		f.Errorf("a message was sent that should be held")
	}
	if err := f.Hold(bg, req, false); err != nil {
		f.Fatalf("Hold: %v", err)
	}
	return got.SID
}

func (f *fixture) advance(uia threepid.UIASession) {
	f.Helper()
	if _, err := f.Advance(bg, uia, threepid.Email); err != nil {
		f.Fatalf("Advance: %v", err)
	}
}

// TestGate_AHeldMessageIsSentOnce: in the session that the client was told of,
// when its registration gets there, however often that is reported.
func TestGate_AHeldMessageIsSentOnce(t *testing.T) {
	f := newFixture(t)
	sid := f.hold(ask(held("u1")))
	f.advance("another")
	if got := len(f.outbox.messages()); got != 0 {
		t.Fatalf("got %d messages by another registration, want none", got)
	}
	for range 3 {
		f.advance("u1")
	}
	if got := len(f.outbox.messages()); got != 1 {
		t.Fatalf("got %d messages, want 1", got)
	}
	last := f.outbox.last(t)
	if last.SID != sid || last.Address != "alice@example.com" {
		t.Errorf("got a message of session %s, want %s", last.SID, sid)
	}
	f.confirm(sid, last.Token)
	if ready, err := f.Reached(bg, "u1", threepid.Email); err != nil || !ready {
		t.Errorf("Reached = %v, %v, want true", ready, err)
	}
	for _, c := range []struct {
		uia    threepid.UIASession
		medium threepid.Medium
	}{{"u1", threepid.MSISDN}, {"u2", threepid.Email}, {"", threepid.Email}} {
		if ready, err := f.Reached(bg, c.uia, c.medium); err != nil || ready {
			t.Errorf("Reached(%q, %s) = %v, %v, want false", c.uia, c.medium, ready, err)
		}
	}
}

func TestGate_HeldInCallback(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 1, Per: time.Hour} })
	req := ask(held("u1"))
	nonce, err := f.Await(bg, req)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := f.Callback(bg, nonce, req.ThreePID)
	if err != nil || opened.Sent || opened.SID == "" {
		t.Fatalf("Callback = %+v, %v, want a session and no message", opened, err)
	}
	if got, err := f.Settle(bg, nonce, false); err != nil || got != opened {
		t.Fatalf("Settle = %+v, %v, want %+v", got, err, opened)
	}
	if err := f.Hold(bg, req, false); err != nil {
		t.Fatal(err)
	}
	f.advance("u1")
	if got := f.outbox.last(t).SID; got != opened.SID {
		t.Errorf("got a message of session %s, want %s", got, opened.SID)
	}
}

// TestGate_HeldRequestsAreReplaced: the user asks again before the captcha is
// done; the newest request is the one that is sent.
func TestGate_HeldRequestsAreReplaced(t *testing.T) {
	f := newFixture(t)
	f.hold(ask(held("u1"), mailbox("wrong@example.com")))
	f.hold(ask(held("u1")))
	f.hold(ask(held("u1"), attempt(2)))
	f.advance("u1")
	if got := f.outbox.messages(); len(got) != 1 || got[0].Address != "alice@example.com" || got[0].Attempt != 2 {
		t.Errorf("got %d messages, want one to alice, of the second attempt", len(got))
	}
	// Whoever asks now has done the stages.
	if got := f.open(ask(attempt(3))); !got.Sent {
		t.Error("got nothing sent after the stages were done")
	}
}

// TestGate_HeldAndReadyAtOnce: it gets ready between the look and the hold.
func TestGate_HeldAndReadyAtOnce(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 5, Per: time.Hour} })
	f.open(ask(held("u1")))
	f.advance("u1")
	for range 2 {
		if err := f.Hold(bg, ask(held("u1")), false); err != nil {
			t.Fatal(err)
		}
		if got, room := len(f.outbox.messages()), f.room(t, f.budget(threepid.Email)); got != 1 || room != 4 {
			t.Errorf("got %d messages, and room for %d more, want 1 and 4", got, room)
		}
	}
}

func TestGate_ReplacedWhileItIsReleased(t *testing.T) {
	f := newFixture(t)
	f.hold(ask(held("u1"), mailbox("first@example.com")))
	f.open(ask(held("u1")))
	f.meanwhile(func() {
		if err := f.Hold(bg, ask(held("u1")), false); err != nil {
			t.Error(err)
		}
	})
	f.advance("u1")
	if got := len(f.outbox.messages()); got != 2 {
		t.Errorf("got %d messages, want both", got)
	}
}

// TestGate_HeldMessagesKeepToTheBudget: they have their part of it from when they are
// held, and are sent whatever is left when their time comes.
func TestGate_HeldMessagesKeepToTheBudget(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 2, Per: time.Hour} })
	f.hold(ask(held("u1")))
	f.open(ask(granted, mailbox("bob@example.com"))) // takes the rest
	_, err := f.RequestToken(bg, ask(granted, mailbox("carol@example.com")))
	if got := refusedBy(t, err); got != LimitMessages {
		t.Errorf("got refused by %q, want by the budget", got)
	}
	f.advance("u1")
	if got := f.outbox.last(t).Address; got != "alice@example.com" {
		t.Errorf("got the last message to %s, want to alice", got)
	}
}

func TestGate_HeldMessagesRespectACooldown(t *testing.T) {
	f := newFixture(t)
	f.hold(ask(held("u1")))
	if err := f.cool(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}, 0, f.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Advance(bg, "u1", threepid.Email)
	if got := refusedBy(t, err); got != LimitCooldown {
		t.Errorf("got refused by %q, want by the cool-down", got)
	}
}

// TestGate_ConcurrentReports of one registration send one message.
func TestGate_ConcurrentReports(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 100, Per: time.Hour} })
	f.hold(ask(held("u1")))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := f.Advance(bg, "u1", threepid.Email); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(f.outbox.messages()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

// TestGate_AFailureDoesNotLoseTheMessage: it is sent at the next report.
func TestGate_AFailureDoesNotLoseTheMessage(t *testing.T) {
	f := newFixture(t)
	f.hold(ask(held("u1")))
	f.outbox.refuse = errors.New("full")
	if _, err := f.Advance(bg, "u1", threepid.Email); !errors.Is(err, f.outbox.refuse) {
		t.Fatalf("got %v, want the outbox's error", err)
	}
	f.outbox.refuse = nil
	f.advance("u1")
	if got := len(f.outbox.messages()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestGate_Ties(t *testing.T) {
	f := newFixture(t)
	addr := netip.MustParseAddr
	newest := func(client netip.Addr, agent string) string {
		t.Helper()
		uia, err := f.NewestRegistration(bg, client, agent)
		if err != nil {
			t.Fatal(err)
		}
		return string(uia)
	}
	note := func(client netip.Addr, uia threepid.UIASession) {
		t.Helper()
		if err := f.NoteRegistration(bg, client, "Element", uia); err != nil {
			t.Fatal(err)
		}
	}
	note(addr("192.0.2.1"), "u1")
	note(netip.Addr{}, "nobody")
	for i, c := range []struct {
		client netip.Addr
		agent  string
		want   string
	}{
		{addr("192.0.2.1"), "Element", "u1"}, {addr("192.0.2.1"), "other", ""}, {addr("192.0.2.2"), "Element", ""}, {netip.Addr{}, "Element", ""},
	} {
		if got := newest(c.client, c.agent); got != c.want {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
	note(addr("192.0.2.1"), "u2")
	if got := newest(addr("192.0.2.1"), "Element"); got != "u2" {
		t.Errorf("got %q, want the newest", got)
	}
	f.clock.Advance(9 * time.Minute)
	note(addr("192.0.2.1"), "u2") // it polls
	f.clock.Advance(9 * time.Minute)
	if got := newest(addr("192.0.2.1"), "Element"); got != "u2" {
		t.Errorf("got %q while it is in use, want u2", got)
	}
	f.clock.Advance(2 * time.Minute)
	if got := newest(addr("192.0.2.1"), "Element"); got != "" {
		t.Errorf("got %q after the time, want nothing", got)
	}
}

// TestGate_Ends: nothing of it stays, and forgetting an address finds it.
func TestGate_Ends(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.hold(ask(held(threepid.UIASession(fmt.Sprint("u", i))), mailbox(fmt.Sprintf("a%d@example.com", i))))
	}
	if err := f.NoteRegistration(bg, netip.MustParseAddr("192.0.2.1"), "x", "u1"); err != nil {
		t.Fatal(err)
	}
	if got := f.entries(kindProgress); got != 5 {
		t.Fatalf("got %d entries, want 5", got)
	}
	if _, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "a3@example.com"}); err != nil {
		t.Fatal(err)
	}
	if got := f.entries(kindProgress); got != 4 {
		t.Errorf("got %d entries after one was forgotten, want 4", got)
	}
	f.advance("ready")
	for _, want := range []bool{true, false} { // for as long as a message is held
		f.clock.Advance(progressTime / 2)
		if got, err := f.Reached(bg, "ready", threepid.Email); got != want || err != nil {
			t.Errorf("Reached = %v, %v, want %v", got, err, want)
		}
	}
	if got := f.entries(kindProgress) + f.entries(kindRegistration); got != 0 {
		t.Errorf("got %d entries left, want none", got)
	}
}

// TestHeldDecoyStaysOne: what the homeserver has refused is not sent with a token
// because a captcha was solved meanwhile.
func TestHeldDecoyStaysOne(t *testing.T) {
	f := newFixture(t)
	req := ask(held("u1"))
	nonce, err := f.Await(bg, req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Decoy(bg, nonce); err != nil {
		t.Fatal(err)
	}
	opened, err := f.Settle(bg, nonce, false)
	if err != nil || !opened.Decoy || opened.Sent {
		t.Fatalf("Settle = %+v, %v, want a decoy of which nothing was sent", opened, err)
	}
	if err := f.Hold(bg, req, opened.Decoy); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Advance(bg, "u1", threepid.Email); err != nil {
		t.Fatal(err)
	}
	sent := f.outbox.messages()
	if len(sent) != 1 || !sent[0].Decoy || sent[0].Token != "" || sent[0].SID != opened.SID {
		t.Errorf("got messages %+v, want one that explains, without a token", sent)
	}
}
