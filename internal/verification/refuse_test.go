// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestRefuseStates: what the link does to a session in every state it can be
// in, what is said, and that saying it twice changes nothing more.
func TestRefuseStates(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(f *fixture) string
		want    error
		state   State
	}{
		{"pending", func(f *fixture) string { return string(f.open(ask()).SID) }, nil, Revoked},
		{"validated", func(f *fixture) string { return string(f.validated(ask())) }, nil, Revoked},
		{"claimed", func(f *fixture) string {
			sid := f.validated(ask())
			f.claim(completes(sid))
			return string(sid)
		}, nil, Revoked},
		{"revoked by wrong tokens", func(f *fixture) string {
			sid := f.open(ask()).SID
			for range DefaultMaxTries {
				_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
			}
			return string(sid)
		}, nil, Revoked},
		{"consumed", func(f *fixture) string {
			sid := f.validated(ask())
			a := f.claim(completes(sid))
			f.proves(a)
			f.finish(a, Completed)
			return string(sid)
		}, ErrConsumed, Consumed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			sid := tt.prepare(f)
			refusal := f.outbox.last(t).Refusal
			for range 2 {
				wantErr(t, "Refuse", f.Refuse(bg, threepid.SID(sid), refusal, false), tt.want)
				got, err := f.InspectRefusal(bg, threepid.SID(sid), refusal)
				if err != nil || got.State != tt.state || got.Address != "alice@example.com" {
					t.Errorf("InspectRefusal = %+v, %v, want state %s", got, err, tt.state)
				}
			}
			var limit *LimitError
			if _, err := f.RequestToken(bg, ask(secret("other"))); !errors.As(err, &limit) || limit.RetryAfter != DefaultCooldown {
				t.Errorf("the next request: %v, want to wait %s", err, DefaultCooldown)
			}
			if n := f.watcher.count("register email revoked"); n > 1 || (n == 1) != (tt.state == Revoked) {
				t.Errorf("%d transitions to revoked", n)
			}
		})
	}
}

// TestRefuseStopsACompletion: a completion that is under way proves nothing any
// more, and does not undo the refusal when it ends.
func TestRefuseStopsACompletion(t *testing.T) {
	for _, answered := range []bool{false, true} {
		f := newFixture(t)
		sid := f.validated(ask())
		a := f.claim(completes(sid))
		if answered && !f.proves(a) {
			t.Fatal("the alias proves nothing")
		}
		if err := f.Refuse(bg, sid, f.outbox.last(t).Refusal, false); err != nil {
			t.Fatal(err)
		}
		if f.proves(a) {
			t.Error("the alias proves something after the refusal")
		}
		f.finish(a, Completed)
		if got := f.record(sid).State; got != Revoked {
			t.Errorf("the session is %s, want revoked", got)
		}
	}
}

// TestRefuseIsNotGuessed: whatever is not the link of this session is the same
// to us as a session that does not exist.
func TestRefuseIsNotGuessed(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	mine := f.outbox.last(t)
	other := f.open(ask(mailbox("bob@example.com"))).SID
	if len(mine.Refusal) != 43 {
		t.Errorf("the secret has %d characters, want 256 bits", len(mine.Refusal))
	}
	for what, try := range map[string][2]string{
		"nothing":             {string(sid), ""},
		"the token":           {string(sid), string(mine.Token)},
		"another session's":   {string(sid), string(f.outbox.last(t).Refusal)},
		"for another session": {string(other), string(mine.Refusal)},
		"cut short":           {string(sid), string(mine.Refusal[:42])},
		"longer":              {string(sid), string(mine.Refusal + "A")},
		"a foreign sid":       {"foreign", string(mine.Refusal)},
		"an empty sid":        {"", string(mine.Refusal)},
	} {
		wantErr(t, what+": Refuse", f.Refuse(bg, threepid.SID(try[0]), threepid.RefusalToken(try[1]), false), ErrNoSession)
		_, err := f.InspectRefusal(bg, threepid.SID(try[0]), threepid.RefusalToken(try[1]))
		wantErr(t, what+": InspectRefusal", err, ErrNoSession)
	}
	if got := f.record(sid).State; got != Pending {
		t.Errorf("the session is %s after forged refusals", got)
	}
	f.clock.Advance(2 * MaxLifetime)
	wantErr(t, "Refuse of a session that is gone", f.Refuse(bg, sid, mine.Refusal, false), ErrNoSession)
}

// TestRefuseWithdrawsInOneTransaction: the session is not revoked without its
// messages being withdrawn, whatever fails.
func TestRefuseWithdrawsInOneTransaction(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	f.open(ask(attempt(2)))
	f.open(ask(secret("other")))
	if n := f.entries(OutboxKind); n != 3 {
		t.Fatalf("%d messages wait, want 3", n)
	}
	if err := f.Refuse(bg, sid, f.outbox.messages()[0].Refusal, false); err != nil {
		t.Fatal(err)
	}
	if n := f.entries(OutboxKind); n != 1 {
		t.Errorf("%d messages wait, want that of the other session only", n)
	}
	got, err := f.Describe(bg, sid)
	if err != nil || got.Delivery != Failed || got.State != Revoked {
		t.Errorf("Describe = %+v, %v, want revoked and failed", got, err)
	}
	_, err = f.Submit(bg, Submission{SID: sid, Token: f.outbox.messages()[1].Token})
	wantErr(t, "a click on the link of the same mail", err, ErrRevoked)
}

// TestCooldown ends when it was told to, is not prolonged by clicking again,
// and is the address's: others are not held up, and no limit need be set.
func TestCooldown(t *testing.T) {
	for _, limit := range []ratelimit.Limit{{}, {Burst: 50, Per: time.Hour}} {
		f := newFixture(t, func(c *Config) { c.Cooldown, c.PerAddress = 3*time.Hour, limit })
		sid := f.open(ask()).SID
		refusal := f.outbox.last(t).Refusal
		for range 3 {
			if err := f.Refuse(bg, sid, refusal, false); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(time.Hour - time.Millisecond)
		}
		var refused *LimitError
		_, err := f.Await(bg, ask(purpose(threepid.Password)))
		if !errors.As(err, &refused) || refused.RetryAfter != 3*time.Millisecond {
			t.Errorf("Await = %v, want to wait 3ms", err)
		}
		wantErr(t, "RevokeSession", f.RevokeSession(bg, sid), nil)
		f.open(ask(mailbox("bob@example.com")))
		f.clock.Advance(3 * time.Millisecond)
		if again := f.open(ask()); again.SID == sid || !again.Sent {
			t.Errorf("after the cool-down %+v, want a new session", again)
		}
	}
}

// TestDelivery: what is known of a message follows what is noted of it, and a
// note on an old message says nothing of the new one.
func TestDelivery(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	want := func(when string, want DeliveryState) {
		t.Helper()
		if got, err := f.Describe(bg, sid); err != nil || got.Delivery != want {
			t.Errorf("%s: delivery is %q, %v, want %q", when, got.Delivery, err, want)
		}
	}
	settle := func(m Message, state DeliveryState, gone bool) {
		t.Helper()
		p, _ := sealed.PartitionIn(m.ID)
		key, _ := OutboxKey(m.ID)
		err := f.cfg.Store.Update(bg, p, func(txn store.Txn) error {
			if gone {
				if err := txn.Delete(key); err != nil {
					return err
				}
			}
			return NoteDelivery(txn, m, state)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := f.outbox.last(t)
	want("at first", Waiting)
	settle(first, Deferred, false)
	want("after a try", Deferred)
	f.open(ask(attempt(2)))
	second := f.outbox.last(t)
	want("after the second was asked for", Waiting)
	settle(second, Delivered, true)
	want("when the second is sent", Delivered)
	settle(first, Failed, true)
	want("when the first fails late", Delivered)
	if err := f.NoteFeedback(bg, sid, Bounced); err != nil {
		t.Fatal(err)
	}
	want("when it came back", Bounced)
	settle(second, Delivered, true)
	want("when the relay's answer is noted after its report", Bounced)
	if got, err := f.Inspect(bg, Submission{SID: sid, Token: second.Token}); err != nil || got.Delivery != Bounced {
		t.Errorf("Inspect = %+v, %v, want bounced", got, err)
	}
	if err := f.NoteFeedback(bg, sid, "made up"); err == nil {
		t.Errorf("a state that does not exist: %v", err)
	}
	if err := f.NoteFeedback(bg, sid, Waiting); err == nil {
		t.Error("waiting cannot be noted")
	}
	want("after nonsense", Bounced)
	wantErr(t, "feedback on nothing", f.NoteFeedback(bg, "foreign", Bounced), ErrNoSession)
	if to, err := f.Recipient(bg, sid); err != nil || to != first.ThreePID() {
		t.Errorf("Recipient = %v, %v", to, err)
	}
}

// TestDeliveryIsNotedInItsOrder: what is heard later stands, but what a reader or a
// phone says is not undone by what a relay says.
func TestDeliveryIsNotedInItsOrder(t *testing.T) {
	for _, heard := range []DeliveryState{Bounced, Complained, Arrived} {
		f := newFixture(t)
		sid := f.open(ask()).SID
		m := f.outbox.last(t)
		for _, s := range []struct{ noted, want DeliveryState }{
			{Deferred, Deferred},
			{Delivered, Delivered},
			{Uncertain, Uncertain},
			{heard, heard},
			{Delivered, heard},
			{Deferred, heard},
			{Complained, Complained},
			{Arrived, Arrived},
		} {
			err := f.store.Update(bg, store.Partition(sid[:2]), func(txn store.Txn) error { return NoteDelivery(txn, m, s.noted) })
			wantErr(t, "NoteDelivery", err, nil)
			if got, err := f.Describe(bg, sid); err != nil || got.Delivery != s.want {
				t.Errorf("%s noted: got %q, %v, want %q", s.noted, got.Delivery, err, s.want)
			}
		}
	}
}

// TestOddMessageIDs are of no message, and nothing is noted of one.
func TestOddMessageIDs(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	notes := func(id string) bool {
		t.Helper()
		m, before := f.outbox.last(t), f.entries(kindState)+f.entries(kindReply)
		m.ID = id
		err := f.store.Update(bg, store.Partition(sid[:2]), func(txn store.Txn) error {
			return errors.Join(NoteDelivery(txn, m, Deferred), NoteReply(txn, f.cfg.Keys, m, "text", f.clock.Now()))
		})
		wantErr(t, "note of "+id, err, nil)
		return f.entries(kindState)+f.entries(kindReply) != before
	}
	for _, odd := range []string{"", ".", string(sid), string(sid + "."), string(sid + ".x"), string(sid + ".0"), string(sid + ".-1"), string(sid + ".2147483648"), string(sid[:2] + ".1"), ".1"} {
		wantErr(t, odd, f.NoteReceipt(bg, odd, Arrived), ErrNoSession)
		if notes(odd) {
			t.Errorf("something was noted of %q", odd)
		}
	}
	err := f.store.Update(bg, store.Partition(sid[:2]), func(txn store.Txn) error { return NoteDelivery(txn, f.outbox.last(t), "made up") })
	wantErr(t, "a state that is not to be noted", err, sealed.ErrForm)
	wantErr(t, "of a message to come", f.NoteReceipt(bg, string(sid+".2"), Arrived), ErrNoSession)
	wantErr(t, "of the newest", f.NoteReceipt(bg, string(sid+".1"), Arrived), nil)
	if !notes(string(sid + ".2147483647")) {
		t.Error("the highest number that there is cannot be noted")
	}
	for id, want := range map[string]bool{"": false, "0": false, "00": false, "00x": true} {
		if _, ok := OutboxKey(id); ok != want {
			t.Errorf("a message %q can be in the outbox: %v, want %v", id, ok, want)
		}
	}
}

// TestDeliveryUnknown: a message that vanished without a note (it expired while
// no outbox ran) is not called sent, unless its token came back.
func TestDeliveryUnknown(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	m := f.outbox.last(t)
	p, _ := sealed.PartitionIn(m.ID)
	key, _ := OutboxKey(m.ID)
	if err := f.cfg.Store.Update(bg, p, func(txn store.Txn) error { return txn.Delete(key) }); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Describe(bg, sid); err != nil || got.Delivery != Unnoted {
		t.Errorf("Describe = %+v, %v, want no state", got, err)
	}
	note := func(raw string) {
		t.Helper()
		err := f.cfg.Store.Update(bg, p, func(txn store.Txn) error { return txn.Set(stateKey(sid), []byte(raw), time.Time{}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	odd := []string{"", "\x01", "\x02\x01\x00\x00\x00\x01", "\x01\x63\x00\x00\x00\x01", "\x01\x08\x00\x00\x00\x01", "\x01\x01\x00\x00\x00\x01\x00"}
	for _, raw := range odd { // of another version, say
		note(raw)
		if got, err := f.Describe(bg, sid); err != nil || got.Delivery != Unnoted {
			t.Errorf("with a note %q: %+v, %v, want no state", raw, got, err)
		}
	}
	note("\x01\x02\x00\x00\x00\x01") // deferred, once
	if got, err := f.Describe(bg, sid); err != nil || got.Delivery != Failed {
		t.Errorf("Describe = %+v, %v, want that it will not be tried again", got, err)
	}
	f.confirm(sid, m.Token)
	if got, err := f.Describe(bg, sid); err != nil || got.Delivery != Delivered {
		t.Errorf("Describe = %+v, %v, want sent", got, err)
	}
	for _, raw := range odd {
		note(raw)
		if got, err := f.Describe(bg, sid); err != nil || got.Delivery != Delivered {
			t.Errorf("with a note %q: %+v, %v", raw, got, err)
		}
	}
}
