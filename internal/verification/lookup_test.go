// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// replied notes what a relay said of a message.
func (f *fixture) replied(m Message, text string) {
	f.Helper()
	p, _ := f.ids.parse(m.SID)
	err := f.cfg.Store.Update(bg, p, func(txn store.Txn) error { return NoteReply(txn, f.cfg.Keys, m, text, f.clock.Now()) })
	if err != nil {
		f.Fatalf("NoteReply: %v", err)
	}
}

// TestFindByAddress: all of a person's sessions, with what was said of each, those
// of other spellings of the mailbox marked, and nobody else's.
func TestFindByAddress(t *testing.T) {
	f := newFixture(t)
	first := f.open(ask(secret("1"))).SID
	f.replied(f.outbox.last(t), "mailbox of alice@example.com is full")
	f.clock.Advance(time.Minute)
	tagged := f.open(ask(secret("2"), mailbox("alice+matrix@example.com"))).SID
	f.clock.Advance(time.Minute)
	reset := f.open(ask(secret("3"), purpose(threepid.Password))).SID
	f.open(ask(secret("4"), mailbox("bob@example.com")))
	f.open(ask(secret("5"), func(r *Request) { r.Medium, r.Address = threepid.MSISDN, "447400123456" }))
	got, err := f.FindByAddress(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v, %v, want three sessions", got, err)
	}
	for i, want := range []struct {
		sid      threepid.SID
		reply    string
		spelling bool
	}{{reset, "", false}, {tagged, "", true}, {first, "mailbox of alice@example.com is full", false}} {
		if g := got[i]; g.SID != want.sid || g.Reply.Text != want.reply || g.Spelling != want.spelling || threepid.SID(g.MessageID) != want.sid+".1" {
			t.Errorf("%d: got %+v, want %+v", i, g, want)
		}
	}
	if got, err := f.FindByAddress(bg, threepid.ThreePID{Medium: threepid.MSISDN, Address: "447400123456"}); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v for a number, want one session", got, err)
	}
	if got, err := f.FindByAddress(bg, threepid.ThreePID{Medium: threepid.MSISDN, Address: "alice@example.com"}); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v for the same text of another medium", got, err)
	}
}

// TestHeldIsFound: a message that waits for a registration is not one of which
// nothing is known.
func TestHeldIsFound(t *testing.T) {
	f := newFixture(t)
	f.hold(ask(held("uia")))
	got, err := f.FindByAddress(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
	if err != nil || len(got) != 1 || !got[0].Held || got[0].MessageID != "" {
		t.Errorf("got %+v, %v, want a held message", got, err)
	}
}

// TestReplyIsSealed: it may have an address in it, and the store has none in clear.
func TestReplyIsSealed(t *testing.T) {
	f := newFixture(t)
	f.open(ask())
	f.replied(f.outbox.last(t), "mailbox of alice@example.com is full")
	if f.entries(kindReply) != 1 {
		t.Fatalf("got %d replies", f.entries(kindReply))
	}
	for key, value := range dump(t, f.cfg.Store) {
		if strings.Contains(key+value, "alice") || strings.Contains(value, "mailbox of") {
			t.Errorf("%q has the address", key)
		}
	}
	if !sealed.DroppedAtRestore("00", kindReply.Key("x")) || !sealed.Awaited("00", kindReply.Key("x")) {
		t.Error("a backup or a rotation does not know what a reply is")
	}
}

// TestReplyThatCannotBeRead is none: nothing hangs on it.
func TestReplyThatCannotBeRead(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	f.replied(f.outbox.last(t), "no such user")
	if got, err := f.reply(bg, sid); got.Text != "no such user" || got.At != f.clock.Now().UnixMilli() || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	err := f.store.Update(bg, store.Partition(sid[:2]), func(txn store.Txn) error { return txn.Set(replyKey(sid), []byte("x"), time.Time{}) })
	wantErr(t, "spoil", err, nil)
	for _, of := range []string{string(sid), "foreign"} {
		if got, err := f.reply(bg, threepid.SID(of)); got != (Reply{}) || err != nil {
			t.Errorf("of %q: got %+v, %v, want none", of, got, err)
		}
	}
}

// TestRevokeByAddress ends what is open, of exactly this address.
func TestRevokeByAddress(t *testing.T) {
	f := newFixture(t)
	open := f.open(ask(secret("1"))).SID
	used := f.validated(ask(secret("2")))
	f.proves(f.claim(completes(used, func(c *Completion) { c.ClientSecret = "2" })))
	f.clock.Advance(DefaultInFlight)
	other := f.open(ask(secret("3"), mailbox("alice+matrix@example.com"))).SID
	if n, err := f.RevokeByAddress(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}); n != 1 || err != nil {
		t.Errorf("got %d, %v, want one", n, err)
	}
	for sid, want := range map[string]State{string(open): Revoked, string(used): Consumed, string(other): Pending} {
		if got, err := f.Describe(bg, threepid.SID(sid)); err != nil || got.State != want {
			t.Errorf("got %v, %v, want %v", got.State, err, want)
		}
	}
	if n, err := f.RevokeByAddress(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}); n != 0 || err != nil {
		t.Errorf("got %d, %v the second time", n, err)
	}
}

// TestLimitsSayWhenTheNextPasses, whatever was asked for before: a request is
// refused until that time, and not at it. Nothing is counted by looking.
func TestLimitsSayWhenTheNextPasses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		burst := rapid.IntRange(1, 5).Draw(rt, "burst")
		f := newFixture(t, func(c *Config) {
			c.PerAddress = ratelimit.Limit{Burst: burst, Per: time.Hour}
			c.Messages = ratelimit.Limit{Burst: 100, Per: time.Hour}
		})
		n := 0
		try := func() error {
			n++
			_, err := f.RequestToken(bg, ask(attempt(int64(n))))
			return err
		}
		for range rapid.IntRange(0, 8).Draw(rt, "requests") {
			_ = try()
			f.clock.Advance(time.Duration(rapid.IntRange(0, 3600).Draw(rt, "pause")) * time.Second)
		}
		until := func() time.Time {
			list, cooling, err := f.Limits(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}, "")
			if err != nil || !cooling.IsZero() || len(list) != 2 || list[0].Limit != LimitAddress || list[1].Limit != LimitMessages {
				rt.Fatalf("got %+v, %v, %v, want the limit of the address and the budget", list, cooling, err)
			}
			if list[0].Used < 0 || list[0].Used > burst || (list[0].Used < burst && !list[0].Until.IsZero()) {
				rt.Fatalf("got %+v, want at most %d", list[0], burst)
			}
			return list[0].Until
		}
		at := until()
		if again := until(); !again.Equal(at) {
			rt.Fatalf("looking has changed it from %v to %v", at, again)
		}
		if at.IsZero() {
			if err := try(); err != nil {
				rt.Fatalf("got %v, where nothing waits", err)
			}
			return
		}
		wait := at.Sub(f.clock.Now())
		f.clock.Advance(wait - wait/100)
		if err := try(); !isLimit(err) {
			rt.Fatalf("got %v a little before, want a limit", err)
		}
		f.clock.Advance(wait/100 + time.Microsecond)
		if err := try(); err != nil {
			rt.Fatalf("got %v at that time", err)
		}
	})
}

func isLimit(err error) bool {
	_, ok := errors.AsType[*LimitError](err)
	return ok
}

// TestLimitsKnowTheOwnersWord and the wrong codes, each for what they are.
func TestLimitsKnowTheOwnersWord(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(proof(ProofCode))).SID
	_, _ = f.Submit(bg, Submission{SID: sid, Token: "000000"})
	m := f.outbox.last(t)
	if err := f.Refuse(bg, m.SID, m.Refusal, false); err != nil {
		t.Fatal(err)
	}
	list, cooling, err := f.Limits(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}, "example.com")
	if err != nil || !cooling.Equal(f.clock.Now().Add(DefaultCooldown)) {
		t.Errorf("got %v, %v, want a day", cooling, err)
	}
	codes := list[len(list)-1]
	if codes.Limit != LimitCodes || codes.Purpose != threepid.Register || codes.Used != 1 {
		t.Errorf("got %+v, want the wrong code", codes)
	}
}
