// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestSearchFindsWhatCanBeRead: all of a partition, also beside an entry that cannot be
// read, and not what ends while it is searched for.
func TestSearchFindsWhatCanBeRead(t *testing.T) {
	f := newFixture(t)
	const all = 2 * sealed.Partitions
	var sids []string
	for n := range all {
		sids = append(sids, string(f.open(ask(secret(fmt.Sprint(n)))).SID))
		f.clock.Advance(time.Second)
	}
	f.overwrite(threepid.SID(sids[0]), func(b []byte) []byte { return b[:10] })
	found, err := f.FindAll(bg)
	if err != nil || len(found) != all-1 {
		t.Fatalf("got %d sessions, %v, want %d", len(found), err, all-1)
	}
	for i, a := range found {
		if want := sids[all-1-i]; a.SID != threepid.SID(want) {
			t.Fatalf("number %d is %s, want %s, newest first", i, a.SID, want)
		}
	}
	for at, done := 1, false; !done; at++ {
		f := newFixture(t)
		f.open(ask())
		between := &storetest.Interrupted{Store: f.Service.store, Before: at, Do: func() { f.clock.Advance(48 * time.Hour) }}
		f.Service.store = between
		if found, err := f.FindAll(bg); err != nil || len(found) > 1 {
			t.Errorf("ended before call %d: got %v, %v", at, found, err)
		}
		done = !between.Done()
	}
}

// TestResendRefuses what cannot go on, and counts nothing for that.
func TestResendRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(f *fixture, sid threepid.SID)
		want error
	}{
		"expired":  {func(f *fixture, _ threepid.SID) { f.clock.Advance(MaxLifetime) }, ErrExpired},
		"revoked":  {func(f *fixture, sid threepid.SID) { wantErr(t, "revoke", f.RevokeSession(bg, sid), nil) }, ErrRevoked},
		"consumed": {func(f *fixture, sid threepid.SID) { f.finish(f.claim(completes(sid)), Completed) }, ErrConsumed},
		"abandoned": {func(f *fixture, sid threepid.SID) {
			f.proves(f.claim(completes(sid)))
			f.clock.Advance(DefaultInFlight)
		}, ErrConsumed},
	} {
		f := newFixture(t, func(c *Config) {
			c.PerAddress, c.Messages = ratelimit.Limit{Burst: 5, Per: 90 * 24 * time.Hour}, ratelimit.Limit{Burst: 5, Per: 90 * 24 * time.Hour}
		})
		sid := f.validated(ask())
		c.end(f, sid)
		address, budget := f.room(t, f.mailbox(ask().ThreePID, 1)), f.room(t, f.budget(threepid.Email))
		wantErr(t, name, f.Resend(bg, sid), c.want)
		if a, b := f.room(t, f.mailbox(ask().ThreePID, 1)), f.room(t, f.budget(threepid.Email)); a != address || b != budget {
			t.Errorf("%s: it has cost %d and %d", name, address-a, budget-b)
		}
		// It may end between the look and the message.
		f = newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 5, Per: 90 * 24 * time.Hour} })
		sid = f.validated(ask())
		if name == "abandoned" {
			f.proves(f.claim(completes(sid)))
		}
		sent, budget := len(f.outbox.messages()), f.room(t, f.budget(threepid.Email))
		f.meanwhile(func() { f.meanwhile(func() { c.end(f, sid) }) })
		wantErr(t, name+" meanwhile", f.Resend(bg, sid), c.want)
		if b := f.room(t, f.budget(threepid.Email)); b != budget || len(f.outbox.messages()) != sent {
			t.Errorf("%s meanwhile: it has cost %d, and sent %d", name, budget-b, len(f.outbox.messages())-sent)
		}
	}
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 2, Per: time.Hour} })
	sid := f.open(ask()).SID
	wantErr(t, "Resend", f.Resend(bg, sid), nil)
	if got := refusedBy(t, f.Resend(bg, sid)); got != LimitMessages {
		t.Errorf("one more than the budget: refused by %q, want by that", got)
	}
}

// TestAnotherEnds with what it can prove, and is remembered for as long.
func TestAnotherEnds(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.TokenLifetime = MaxLifetime })
	note := func(m Message) bool {
		t.Helper()
		another, err := f.NoteOpen(bg, m)
		wantErr(t, "NoteOpen", err, nil)
		return another
	}
	want := func(when string, m Message, want bool) {
		t.Helper()
		page, err := f.Recall(bg, m.SID)
		wantErr(t, when, err, nil)
		if got, err := f.Another(bg, m.SID, page); got != want || err != nil {
			t.Errorf("%s: another is open: %v, %v, want %v", when, got, err, want)
		}
	}
	other := f.open(ask(secret("other"))).SID
	token := f.outbox.last(t).Token
	note(f.outbox.last(t))
	f.clock.Advance(MaxLifetime - time.Millisecond)
	f.confirm(other, token) // and has another lifetime
	f.clock.Advance(MaxLifetime - time.Millisecond)
	f.open(ask())
	mine := f.outbox.last(t)
	if !note(mine) {
		t.Error("one that was confirmed late is forgotten")
	}
	f.clock.Advance(time.Millisecond)
	want("when it has expired", mine, false)
	f.clock.Advance(time.Hour)
	want("when it is gone", mine, false)

	c := completes(f.validated(ask(secret("used"))), func(c *Completion) { c.ClientSecret = "used" })
	note(f.outbox.last(t))
	want("when it was confirmed", mine, true)
	f.proves(f.claim(c))
	want("when it is in use", mine, true)
	f.clock.Advance(DefaultInFlight)
	want("when it must be taken for used", mine, false)
	c = completes(f.validated(ask(secret("accepted"))), func(c *Completion) { c.ClientSecret = "accepted" })
	note(f.outbox.last(t))
	f.finish(f.claim(c), Completed)
	want("when it was used, and its link is young", mine, false)
	f.decoy(ask(secret("decoy")))
	note(f.outbox.last(t))
	want("when it is a decoy", mine, false)

	var rec openRequests
	for n := range maxOpen + 3 {
		f.open(ask(secret(fmt.Sprint("more", n))))
		note(f.outbox.last(t))
	}
	err := f.store.View(bg, limitsPartition, func(txn store.Txn) error {
		_, err := kindOpen.First(txn, f.keys, f.openNames(threepid.Register, ask().ThreePID), &rec)
		return err
	})
	if err != nil || len(rec.SIDs) != maxOpen || rec.SIDs[maxOpen-1] != f.outbox.last(t).SID {
		t.Errorf("%d are remembered, %v, want the newest %d", len(rec.SIDs), err, maxOpen)
	}
}

// TestFailuresThatAreOver: a message that found no room, and then some, is no failure;
// and one of another kind does not keep a request waiting for longer.
func TestFailuresThatAreOver(t *testing.T) {
	f := newFixture(t)
	nonce := f.await(ask())
	f.outbox.refuse = fullError{}
	_, err := f.Callback(bg, nonce, ask().ThreePID)
	wantErr(t, "Callback without room", err, fullError{})
	f.outbox.refuse = nil
	if got := f.callback(nonce, ask()); f.settle(nonce) != got || !got.Sent {
		t.Errorf("with room: got %+v", got)
	}
	nonce = f.await(ask(secret("gone")))
	f.outbox.refuse = fullError{}
	f.meanwhile(func() { f.meanwhile(func() { f.settle(nonce) }) })
	_, err = f.Callback(bg, nonce, ask().ThreePID)
	wantErr(t, "Callback without room, whose client goes", err, fullError{})
	if errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want nothing said of the client", err)
	}
	nonce = f.await(ask(secret("other")))
	f.clock.Advance(DefaultInFlight / 2)
	f.outbox.refuse = errors.New("broken")
	_, err = f.Callback(bg, nonce, ask().ThreePID)
	wantErr(t, "Callback that fails", err, f.outbox.refuse)
	f.clock.Advance(DefaultInFlight / 2)
	_, err = f.Callback(bg, nonce, ask().ThreePID)
	wantErr(t, "Callback after its time", err, ErrUnknownNonce)
}

// TestDecoyTwice: a homeserver's answer that is repeated is the same decoy.
func TestDecoyTwice(t *testing.T) {
	f := newFixture(t)
	nonce := f.await(ask())
	for n, do := range []func(){func() {}, func() { f.meanwhile(func() { _, _ = f.Decoy(bg, nonce) }) }} {
		do()
		got, err := f.Decoy(bg, nonce)
		if err != nil || !got.Decoy || got.Sent != (n == 0) || len(f.outbox.messages()) != 1 {
			t.Errorf("time %d: got %+v, %v, and %d messages", n+1, got, err, len(f.outbox.messages()))
		}
	}
	nonce = f.await(ask(secret("other")))
	f.meanwhile(func() { f.callback(nonce, ask()) })
	if got := f.callback(nonce, ask()); got.Sent || len(f.outbox.messages()) != 2 || f.watcher.count("register email pending") != 1 {
		t.Errorf("two at once: got %+v, %d messages, told were %v", got, len(f.outbox.messages()), f.watcher.seen)
	}
}
