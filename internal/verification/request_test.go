// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestF8_SendAttempt: the same or a lower send_attempt answers the same sid
// and sends nothing; a higher one sends again.
func TestF8_SendAttempt(t *testing.T) {
	f := newFixture(t)
	first := f.open(ask(attempt(3)))
	if !first.Sent {
		t.Fatalf("the first request sent nothing")
	}
	steps := []struct {
		attempt int64
		sent    bool
	}{{3, false}, {2, false}, {0, false}, {-1, false}, {4, true}, {4, false}, {3, false}, {9, true}, {5, false}, {1 << 62, true}}
	messages := 1
	for _, step := range steps {
		got := f.open(ask(attempt(step.attempt)))
		if got.SID != first.SID || got.Sent != step.sent {
			t.Errorf("send_attempt %d = %+v, want sid %q, sent %v", step.attempt, got, first.SID, step.sent)
		}
		if step.sent {
			messages++
		}
		if n := len(f.outbox.messages()); n != messages {
			t.Errorf("after send_attempt %d there are %d messages, want %d", step.attempt, n, messages)
		}
	}
	ids := map[string]bool{}
	for _, m := range f.outbox.messages() {
		ids[m.ID] = true
		if m.SID != first.SID || m.Address != "alice@example.com" || m.Purpose != threepid.Register || m.Medium != threepid.Email {
			t.Errorf("message %+v is not of this session", m)
		}
	}
	if len(ids) != messages {
		t.Errorf("%d messages have %d different ids", messages, len(ids))
	}
	if f.watcher.count("register email pending") != 1 || f.watcher.count("register email resent") != 3 {
		t.Errorf("transitions: %v", f.watcher.seen)
	}
}

// TestF8_ValidatedSessionLives: validating makes a session live longer, and so
// long as it lives, a repeated request must find it.
func TestF8_ValidatedSessionLives(t *testing.T) {
	f := newFixture(t)
	first := f.open(ask())
	f.clock.Advance(30 * time.Minute)
	f.confirm(first.SID, f.outbox.last(t).Token)
	f.clock.Advance(24*time.Hour - time.Millisecond)
	if got := f.open(ask()); got.SID != first.SID || got.Sent {
		t.Errorf("just before the end: %+v, want sid %q and nothing sent", got, first.SID)
	}
	f.clock.Advance(time.Millisecond)
	if got := f.open(ask()); got.SID == first.SID || !got.Sent {
		t.Errorf("at the end: %+v, want a new session", got)
	}
}

// TestF8_EndedSessionIsReplaced: what cannot be completed any more is no
// answer to a new request.
func TestF8_EndedSessionIsReplaced(t *testing.T) {
	tests := []struct {
		name string
		end  func(f *fixture, sid threepid.SID)
	}{
		{"expired", func(f *fixture, _ threepid.SID) { f.clock.Advance(24 * time.Hour) }},
		{"revoked", func(f *fixture, sid threepid.SID) {
			for range DefaultMaxTries {
				_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
			}
		}},
		{"consumed", func(f *fixture, sid threepid.SID) {
			f.confirm(sid, f.outbox.last(f).Token)
			f.finish(f.claim(Completion{SID: sid, ClientSecret: ask().ClientSecret, Purpose: threepid.Register}), Completed)
		}},
		{"abandoned after the proof was given", func(f *fixture, sid threepid.SID) {
			f.confirm(sid, f.outbox.last(f).Token)
			f.proves(f.claim(Completion{SID: sid, ClientSecret: ask().ClientSecret, Purpose: threepid.Register}))
			f.clock.Advance(DefaultInFlight)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			first := f.open(ask())
			tt.end(f, first.SID)
			second := f.open(ask())
			if second.SID == first.SID || !second.Sent {
				t.Fatalf("request after the end = %+v, want a new session with a message", second)
			}
			if third := f.open(ask()); third.SID != second.SID || third.Sent {
				t.Errorf("repeated = %+v, want %q and nothing sent", third, second.SID)
			}
		})
	}
}

// TestEarlyRequestIsAnswered with its session, and sends when it is made again; where
// there is none, it opens one.
func TestEarlyRequestIsAnswered(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 5, Per: time.Hour} })
	early := func(r *Request) { r.Early = true }
	first := f.open(ask(early))
	if got := f.open(ask(early, attempt(2))); !first.Sent || got != (Opened{SID: first.SID}) || len(f.outbox.messages()) != 1 {
		t.Errorf("got %+v after %+v, and %d messages, want the same session, and one", got, first, len(f.outbox.messages()))
	}
	if got := f.room(t, f.budget(threepid.Email)); got != 4 {
		t.Errorf("got room for %d more, want 4", got)
	}
	_, err := f.RequestToken(bg, ask(attempt(2), func(r *Request) { r.RepeatOnly = true }))
	if got := refusedBy(t, err); got != LimitRepeat {
		t.Errorf("taken for a repetition: refused by %q, want to be told that it is none", got)
	}
	if got := f.open(ask(attempt(2))); got != (Opened{SID: first.SID, Sent: true}) {
		t.Errorf("made again: got %+v, want it sent", got)
	}
}

// TestF9_SendAttemptScope: send_attempt counts for one client_secret and one
// canonical address (and, here, one purpose and medium); any other opens
// another session.
func TestF9_SendAttemptScope(t *testing.T) {
	f := newFixture(t)
	first := f.open(ask(attempt(5)))
	others := map[string]Request{
		"another secret":         ask(secret("another")),
		"secret in capitals":     ask(secret("MONKEYS_ARE_GREAT")),
		"another address":        ask(mailbox("bob@example.com")),
		"another purpose":        ask(purpose(threepid.Password)),
		"a third purpose":        ask(purpose(threepid.Add)),
		"another medium":         ask(func(r *Request) { r.Medium = threepid.MSISDN }),
		"boundary of the fields": ask(secret("monkeys_are_GREA"), mailbox("Talice@example.com")),
	}
	seen := map[string]string{string(first.SID): "the first request"}
	for name, req := range others {
		got := f.open(req)
		if before, dup := seen[string(got.SID)]; dup || !got.Sent {
			t.Errorf("%s: %+v, want a new session with a message (this is that of %s)", name, got, before)
		}
		seen[string(got.SID)] = name
		if again := f.open(req); again.SID != got.SID || again.Sent {
			t.Errorf("%s, repeated: %+v, want the same session and no message", name, again)
		}
	}
	if again := f.open(ask(attempt(5))); again.SID != first.SID || again.Sent {
		t.Errorf("the first request repeated: %+v, want %q and no message", again, first.SID)
	}
}

// TestMessage: what the delivery side is given.
func TestMessage(t *testing.T) {
	for _, p := range []Proof{ProofLink, ProofCode} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			f := newFixture(t)
			sid := f.open(ask(proof(p), attempt(7), func(r *Request) { r.Language, r.Brand = "de", "club" })).SID
			m := f.outbox.last(t)
			want := Message{
				ID: string(sid + ".1"), SID: sid, Purpose: threepid.Register, Medium: threepid.Email, Address: "alice@example.com",
				Proof: p, Token: m.Token, Language: "de", Created: f.clock.Now(), Expires: f.clock.Now().Add(DefaultTokenLifetime).Local(),
				Brand: "club", Refusal: m.Refusal, Attempt: 7,
			}
			if !m.Expires.Equal(want.Expires) {
				t.Errorf("message expires %v, want %v", m.Expires, want.Expires)
			}
			m.Expires = want.Expires
			if m != want {
				t.Errorf("message is\n%+v, want\n%+v", m, want)
			}
		})
	}
}

// TestMessageExpiresWithItsSession: a token sent late in a session's life ends
// with the session.
func TestMessageExpiresWithItsSession(t *testing.T) {
	f := newFixture(t)
	f.open(ask())
	end := f.clock.Now().Add(24 * time.Hour)
	f.clock.Advance(24*time.Hour - time.Minute)
	f.open(ask(attempt(2)))
	if got := f.outbox.last(t).Expires; !got.Equal(end) {
		t.Errorf("the token expires %v, want %v, the end of the session", got, end)
	}
}

// TestMessageAndSessionAreOne: a message that cannot be stored leaves no
// session behind, and nobody is woken.
func TestMessageAndSessionAreOne(t *testing.T) {
	f := newFixture(t)
	f.outbox.refuse = errors.New("disk is full")
	if _, err := f.RequestToken(bg, ask()); !errors.Is(err, f.outbox.refuse) {
		t.Fatalf("RequestToken = %v, want the outbox's error", err)
	}
	if all := dump(t, f.cfg.Store); len(all) != 0 || len(f.outbox.messages()) != 0 || len(f.watcher.seen) != 0 {
		t.Errorf("the store has %d entries, %d messages, transitions %v; want nothing", len(all), len(f.outbox.messages()), f.watcher.seen)
	}
	f.outbox.refuse = nil
	if got := f.open(ask()); !got.Sent {
		t.Errorf("the next request = %+v, want a message", got)
	}
}

// TestProofChanges: an operator goes from links to codes and back while a
// session is open. A code must never be checked as a link is: without counting.
func TestProofChanges(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(proof(ProofLink))).SID
	link := f.outbox.last(t)
	f.open(ask(proof(ProofCode), attempt(2)))
	code := f.outbox.last(t)
	if code.Proof != ProofCode || len(code.Token) != 6 {
		t.Fatalf("second message has proof %d and a token of %d characters, want a code", code.Proof, len(code.Token))
	}
	_, errWrong := f.Inspect(bg, Submission{SID: sid, Token: "000000"})
	_, errRight := f.Inspect(bg, Submission{SID: sid, Token: code.Token})
	if (errWrong == nil) != (errRight == nil) {
		t.Errorf("Inspect tells a right code (%v) from a wrong one (%v) without counting", errRight, errWrong)
	}
	_, err := f.Submit(bg, Submission{SID: sid, Token: link.Token})
	wantErr(t, "the link from before", err, ErrTokenIncorrect)
	f.open(ask(proof(ProofLink), attempt(3)))
	_, err = f.Inspect(bg, Submission{SID: sid, Token: code.Token})
	wantErr(t, "the code from before", err, ErrTokenIncorrect)
	f.confirm(sid, f.outbox.last(t).Token)
}
