// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestGate_HeldMessageOfASessionThatIsGone is not sent in another one: no client
// knows that.
func TestGate_HeldMessageOfASessionThatIsGone(t *testing.T) {
	for name, end := range map[string]func(*fixture, threepid.SID){
		"revoked": func(f *fixture, sid threepid.SID) { wantErr(t, "Revoke", f.RevokeSession(bg, sid), nil) },
		"expired": func(f *fixture, _ threepid.SID) { f.clock.Advance(31 * time.Minute) },
	} {
		f := newFixture(t, func(c *Config) {
			c.SessionLifetime, c.TokenLifetime = 30*time.Minute, 30*time.Minute
			c.Messages = ratelimit.Limit{Burst: 1, Per: 24 * time.Hour}
		})
		sid := f.hold(ask(held("u1")))
		end(f, sid)
		f.advance("u1")
		wantErr(t, name+": Hold of what is ready", f.Hold(bg, ask(held("u1"), attempt(2)), false), nil)
		if got := f.outbox.messages(); len(got) != 0 {
			t.Errorf("%s: got %d messages, want none", name, len(got))
		}
		if got := f.open(ask(mailbox("bob@example.com"))); !got.Sent {
			t.Errorf("%s: the budget was not given back", name)
		}
	}
}

// TestGate_HeldRequestsMayBeRepeated: answers get lost, and pages are reloaded.
func TestGate_HeldRequestsMayBeRepeated(t *testing.T) {
	repeat := func(f *fixture) {
		t.Helper()
		f.hold(ask(held("u1"), attempt(2)))
		for range 8 {
			f.hold(ask(held("u1"), attempt(2)))
		}
		f.hold(ask(held("u1"), attempt(1)))
	}
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 3, Per: time.Hour} })
	repeat(f)
	if got := f.open(ask(purpose(threepid.Password))); !got.Sent {
		t.Error("got nothing sent for another purpose")
	}
	f.advance("u1")
	if got := len(f.outbox.messages()); got != 2 {
		t.Errorf("got %d messages, want the reset's and the held one", got)
	}

	// Nor does what was sent already cost anything.
	f = newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 3, Per: time.Hour} })
	f.open(ask(attempt(2)))
	for range 8 {
		f.hold(ask(held("u1"), attempt(2)))
	}
	if got := f.open(ask(purpose(threepid.Password))); !got.Sent {
		t.Error("got nothing sent for another purpose, after repetitions of what was sent")
	}

	// The homeserver's word makes no difference.
	f = newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 3, Per: time.Hour} })
	for range 9 {
		f.granted(ask(held("u1")))
	}
	if got := f.open(ask(purpose(threepid.Password))); !got.Sent {
		t.Error("got nothing sent for another purpose, after the homeserver was asked")
	}

	// Each that is new is one more message to come.
	f = newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 3, Per: time.Hour} })
	for n := range int64(3) {
		f.hold(ask(held("u1"), attempt(n)))
	}
	if _, err := f.RequestToken(bg, ask(held("u1"), attempt(3))); refusedBy(t, err) != LimitAddress {
		t.Errorf("got %v, want refused by the address's limit", err)
	}
}

// TestGate_ARepetitionIsHeldWhereNothingIs, and takes the place of nothing.
func TestGate_ARepetitionIsHeldWhereNothingIs(t *testing.T) {
	f := newFixture(t)
	repeated := ask(held("u1"), func(r *Request) { r.RepeatOnly, r.Brand = true, "repeated" })
	sid := f.hold(ask(held("u1")))
	wantErr(t, "Hold", f.Hold(bg, repeated, true), nil)
	f.advance("u1")
	if m := f.outbox.last(t); m.Brand != "" || m.Decoy {
		t.Errorf("got the message %+v, want the one that was held first", m)
	}
	for name, when := range map[string]func(){
		"what was held has expired": func() { f.hold(ask(held("u2"), secret("2"))); f.clock.Advance(progressTime) },
		"it is ready meanwhile":     func() { f.open(ask(held("u2"), secret("2"))); f.advance("u2") },
	} {
		f = newFixture(t)
		when()
		again := ask(held("u2"), secret("2"), func(r *Request) { r.RepeatOnly = true })
		wantErr(t, name, f.Hold(bg, again, false), nil)
		f.advance("u2")
		if got := f.outbox.messages(); len(got) != 1 || got[0].SID == sid {
			t.Errorf("%s: got %d messages, want one", name, len(got))
		}
	}
}

// TestGate_HeldWhileItIsReported: what is held between the look and the note is sent.
func TestGate_HeldWhileItIsReported(t *testing.T) {
	f := newFixture(t)
	f.open(ask(held("u1")))
	f.meanwhile(func() { wantErr(t, "Hold", f.Hold(bg, ask(held("u1")), false), nil) })
	if released, err := f.Advance(bg, "u1", threepid.Email); !released || err != nil {
		t.Errorf("Advance = %v, %v, want it released", released, err)
	}
	if got := len(f.outbox.messages()); got != 1 {
		t.Errorf("got %d messages, want one", got)
	}
	if released, err := f.Advance(bg, "u1", threepid.Email); released || err != nil {
		t.Errorf("Advance again = %v, %v, want nothing released", released, err)
	}
}

// TestHeldDecoyIsResentAsOne: the operator cannot give a token to whom the
// homeserver has refused one.
func TestHeldDecoyIsResentAsOne(t *testing.T) {
	f := newFixture(t)
	opened := f.decoy(ask(held("u1")))
	if err := f.Resend(bg, opened.SID); err != nil {
		t.Fatal(err)
	}
	if m := f.outbox.last(t); !m.Decoy || m.Token != "" {
		t.Errorf("got a message with decoy %v, want one without a token", m.Decoy)
	}
}
