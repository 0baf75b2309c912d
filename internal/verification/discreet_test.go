// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func discreet(r *Request) { r.Discreet = true }

// guessing is a submission without a right token, or with one.
func guessing(sid threepid.SID, token threepid.Token) Submission {
	return Submission{SID: sid, Token: token, Discreet: true}
}

// TestRefusedSessionLooksPending to those who have no token, and to nobody else; it
// sends nothing and confirms nothing, and ends like any other.
func TestRefusedSessionLooksPending(t *testing.T) {
	for _, kind := range []Proof{ProofLink, ProofCode} {
		f := newFixture(t, func(c *Config) { c.MaxTries = 3 })
		sid := f.open(ask(discreet, proof(kind))).SID
		m := f.outbox.last(t)
		if err := f.Refuse(bg, sid, m.Refusal, false); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := f.Refuse(bg, sid, m.Refusal, false); err != nil { // clicking twice is fine
				t.Fatal(err)
			}
		}
		again := f.open(ask(discreet, proof(kind), attempt(2)))
		if again.SID != sid || !again.Sent || len(f.outbox.messages()) != 1 || f.watcher.count("register email unsent") != 1 {
			t.Errorf("proof %d: got %+v and %d messages, want the same session and no other message", kind, again, len(f.outbox.messages()))
		}
		_, err := f.Submit(bg, guessing(sid, "wrong"))
		wantErr(t, "a wrong token", err, ErrTokenIncorrect)
		_, err = f.Submit(bg, guessing(sid, m.Token))
		wantErr(t, "the right token", err, ErrRevoked)
		found, err := f.Inspect(bg, guessing(sid, m.Token))
		if kind == ProofLink {
			wantErr(t, "the page of the right link", err, ErrRevoked)
		} else if err != nil || found.State != Pending || found.Already || found.Delivery != Unnoted {
			t.Errorf("the page for the code: %+v, %v, want that of a pending session", found, err)
		}
		if f.claim(completes(sid)).Live || f.record(sid).State != Revoked {
			t.Error("a refused session completes")
		}
		_, err = f.Submit(bg, guessing(sid, "wrong"))
		wantErr(t, "the last wrong token", err, ErrTokenIncorrect)
		_, err = f.Submit(bg, guessing(sid, "wrong"))
		wantErr(t, "one more", err, ErrRevoked)
		if again := f.open(ask(discreet, proof(kind), attempt(3))); again.SID == sid {
			t.Error("a session that has ended goes on")
		}
	}
}

// TestDiscreetRequestIsNotToldOfRoom, which would tell how many messages wait; but of
// what is broken.
func TestDiscreetRequestIsNotToldOfRoom(t *testing.T) {
	f := newFixture(t)
	f.outbox.refuse = errors.New("broken")
	_, err := f.RequestToken(bg, ask(discreet))
	wantErr(t, "a broken outbox", err, f.outbox.refuse)
	f.outbox.refuse = fullError{}
	got := f.open(ask(discreet))
	if !got.Sent || len(f.outbox.messages()) != 0 || f.watcher.count("register email unsent") != 1 || len(f.watcher.seen) != 1 {
		t.Errorf("got %+v, %d messages, and %v", got, len(f.outbox.messages()), f.watcher.seen)
	}
	if f.entries(OutboxKind) != 0 || f.record(got.SID).Sends != 1 {
		t.Errorf("%d messages wait, and the session is %+v", f.entries(OutboxKind), f.record(got.SID))
	}
	_, err = f.RequestToken(bg, ask(secret("open")))
	wantErr(t, "a request that is not discreet", err, fullError{})
}

// TestPageOfARefusedSession says of a wrong link what it says of any other.
func TestPageOfARefusedSession(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(discreet)).SID
	wantErr(t, "Refuse", f.Refuse(bg, sid, f.outbox.last(t).Refusal, false), nil)
	_, err := f.Inspect(bg, guessing(sid, "wrong"))
	wantErr(t, "a wrong link", err, ErrTokenIncorrect)
	_, err = f.Inspect(bg, Submission{SID: sid, Token: "wrong"})
	wantErr(t, "where nothing is hidden", err, ErrRevoked)
}

// TestCoolingIsAskedWhereMessagesAreSent: requests are not refused where they are
// discreet, and held messages are let go; the outbox finds out, for as long.
func TestCoolingIsAskedWhereMessagesAreSent(t *testing.T) {
	f := newFixture(t)
	req := ask(discreet, held("u1"))
	f.hold(req)
	if err := f.cool(bg, req.ThreePID, 0, f.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Advance(bg, "u1", threepid.Email); err != nil {
		t.Errorf("Advance = %v, want the message let go", err)
	}
	f.open(ask(discreet, secret("another")))
	var limit *LimitError
	if _, err := f.RequestToken(bg, ask(secret("open"))); !errors.As(err, &limit) {
		t.Errorf("a request that is not discreet: %v, want it refused", err)
	}
	for _, want := range []time.Duration{time.Hour, 0} {
		if got, err := f.Cooling(bg, Message{Medium: threepid.Email, Address: req.Address}); err != nil || got != want {
			t.Errorf("Cooling = %s, %v, want %s", got, err, want)
		}
		if got, err := f.Cooling(bg, Message{Medium: threepid.Email, Address: req.Address, Notice: NoticePassword}); err != nil || got != 0 {
			t.Errorf("Cooling of a notice = %s, %v, want none", got, err)
		}
		f.clock.Advance(time.Hour)
	}
}

// TestDiscreetSessionBeginsWhenItWasAskedFor, and not when the homeserver has
// decided, which takes longer if it calls back.
func TestDiscreetSessionBeginsWhenItWasAskedFor(t *testing.T) {
	for way := range ways(newFixture(t)) {
		f := newFixture(t)
		start := f.clock.Now()
		nonce := f.await(ask(discreet))
		f.clock.Advance(time.Minute)
		if way == "decoy" {
			if _, err := f.Decoy(bg, nonce); err != nil {
				t.Fatal(err)
			}
		} else {
			f.callback(nonce, ask())
		}
		s, m := f.record(f.settle(nonce).SID), f.outbox.last(t)
		if s.Until != start.Add(DefaultSessionLifetime).UnixMilli() || !m.Expires.Equal(start.Add(DefaultTokenLifetime)) {
			t.Errorf("%s: got a session until %s and a message until %s", way, time.UnixMilli(s.Until), m.Expires)
		}
	}
}
