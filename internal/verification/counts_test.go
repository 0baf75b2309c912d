// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestWhoSaysNothingIsNotCountedTogether with others who say nothing of themselves.
func TestWhoSaysNothingIsNotCountedTogether(t *testing.T) {
	once := ratelimit.Limit{Burst: 1, Per: time.Hour}
	f := newFixture(t, func(c *Config) {
		c.Client, c.Domain, c.User, c.UIA, c.Guesses = once, once, once, once, once
	})
	for n := range 3 {
		sid := f.open(ask(secret(fmt.Sprint(n)))).SID
		_, err := f.Submit(bg, Submission{SID: sid, Token: "wrong"})
		wantErr(t, "a wrong token", err, ErrTokenIncorrect)
	}
	if got := f.entries(kindLimit); got != 0 {
		t.Errorf("got %d counts of nobody, want none", got)
	}
}

// TestTheSlowestLimitIsTold of those that refuse; of equal ones the first.
func TestTheSlowestLimitIsTold(t *testing.T) {
	fast, slow := ratelimit.Limit{Burst: 1, Per: time.Minute}, ratelimit.Limit{Burst: 1, Per: time.Hour}
	for _, c := range []struct {
		address, client ratelimit.Limit
		want            ratelimit.Kind
		wait            time.Duration
	}{{fast, slow, LimitClient, time.Hour}, {slow, fast, LimitAddress, time.Hour}, {slow, slow, LimitAddress, time.Hour}} {
		f := newFixture(t, func(cfg *Config) { cfg.PerAddress, cfg.Client = c.address, c.client })
		f.open(ask(from("192.0.2.1")))
		_, err := f.RequestToken(bg, ask(from("192.0.2.1"), secret("other")))
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Limit != c.want || limit.RetryAfter != c.wait {
			t.Errorf("with %v and %v: got %+v, want %s to be told, and %v", c.address, c.client, limit, c.want, c.wait)
		}
	}
}

// TestCountTakesNothingFromTheBudget: somebody else sends that message.
func TestCountTakesNothingFromTheBudget(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerAddress, c.Messages = ratelimit.Limit{Burst: 2, Per: time.Hour}, ratelimit.Limit{Burst: 1, Per: time.Hour}
	})
	wantErr(t, "Count", f.Count(bg, ask()), nil)
	wantErr(t, "Count", f.Count(bg, ask()), nil)
	if got := refusedBy(t, f.Count(bg, ask())); got != LimitAddress {
		t.Errorf("the third is refused by %q, want by the address", got)
	}
	if got := f.open(ask(mailbox("bob@example.com"))); !got.Sent {
		t.Error("the budget was used up")
	}
	wantErr(t, "cool", f.cool(bg, threepid.ThreePID{Medium: threepid.Email, Address: "carol@example.com"}, 0, f.clock.Now().Add(time.Hour)), nil)
	if got := refusedBy(t, f.Count(bg, ask(mailbox("carol@example.com")))); got != LimitCooldown {
		t.Errorf("of an address that cools down: refused by %q, want by that", got)
	}
}

// TestNothingIsAskedOfTheStoreForNothing: where there is nothing to be done, or only
// one key, there is no access.
func TestNothingIsAskedOfTheStoreForNothing(t *testing.T) {
	c := &counted{}
	f := newFixture(t, func(cfg *Config) { c.Store, cfg.Store = cfg.Store.(*rerun).Store, c })
	_, err := f.locate(bg, ask())
	wantErr(t, "locate", err, nil)
	wantErr(t, "giveBack", f.giveBack(bg), nil)
	wantErr(t, "Unbind", f.Unbind(bg, mxid), nil)
	wantErr(t, "CountUser", f.CountUser(bg, "add", mxid), nil)
	wantErr(t, "Notify", f.Notify(bg, Happened{Account: mxid}, nil), nil)
	if len(c.calls) != 0 {
		t.Errorf("got accesses %q, want none", c.calls)
	}
	f.rotate()
	_, err = f.locate(bg, ask())
	wantErr(t, "locate", err, nil)
	wantErr(t, "giveBack", f.giveBack(bg, f.holding()), nil) // nothing is held
	if got := fmt.Sprint(c.calls); got != "[view view update of 0]" {
		t.Errorf("with two keys: got %s, want two looks, and nothing written", got)
	}
}

// TestSpoiltCountsAreNone: what cannot be read as a count refuses nobody for ever.
func TestSpoiltCountsAreNone(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 1, Per: time.Hour} })
	spoil := func(key string) {
		t.Helper()
		err := f.cfg.Store.Update(bg, limitsPartition, func(txn store.Txn) error { return txn.Set(key, []byte("x"), time.Time{}) })
		wantErr(t, "spoil", err, nil)
	}
	spoil(kindLimit.Key(f.mailboxNames(mailboxOf(ask().ThreePID))[0]))
	spoil(kindCool.Key(f.addressNames(ask().ThreePID)[0]))
	if got := f.open(ask()); !got.Sent {
		t.Error("nothing was sent")
	}
}

// TestCooldownIsNotShortened by a refusal that reaches less far.
func TestCooldownIsNotShortened(t *testing.T) {
	f := newFixture(t)
	for _, end := range []time.Duration{2 * time.Hour, time.Hour} {
		wantErr(t, "cool", f.cool(bg, ask().ThreePID, 0, f.clock.Now().Add(end)), nil)
		if got, err := f.Cooling(bg, Message{Medium: threepid.Email, Address: ask().Address}); got != 2*time.Hour || err != nil {
			t.Errorf("got %v, %v, want two hours", got, err)
		}
	}
}

// TestCooldownIsNotShortenedUnread: nor where it cannot be found out how far the other one reaches.
func TestCooldownIsNotShortenedUnread(t *testing.T) {
	s := newShaky(t)
	end := s.clock.Now().Add(2 * time.Hour)
	wantErr(t, "cool", s.cool(bg, ask().ThreePID, 0, end), nil)
	for n := range 4 {
		s.disk.Arm(n)
		_ = s.cool(bg, ask().ThreePID, 0, end.Add(-time.Hour))
		s.disk.Arm(0)
		if got, err := s.Cooling(bg, Message{Medium: threepid.Email, Address: ask().Address}); got != 2*time.Hour || err != nil {
			t.Errorf("operation %d failed: got %v, %v, want two hours", n, got, err)
		}
	}
}

// TestLimitsAreToldExactly: how much is used up, rounded up, of how much, and until when.
func TestLimitsAreToldExactly(t *testing.T) {
	hourly := ratelimit.Limit{Burst: 4, Per: time.Hour}
	ample := ratelimit.Limit{Burst: 8, Per: 2 * time.Hour}
	f := newFixture(t, func(c *Config) { c.PerAddress, c.Domain, c.Messages = hourly, ample, ample })
	want := func(used int, until time.Time) {
		t.Helper()
		list, cooling, err := f.Limits(bg, ask().ThreePID, "example.com")
		if err != nil || !cooling.IsZero() || len(list) != 3 {
			t.Fatalf("got %+v, %v, %v, want three limits", list, cooling, err)
		}
		for i, kind := range []ratelimit.Kind{LimitAddress, LimitDomain, LimitMessages} {
			want := LimitState{Limit: kind, Used: used, Limited: hourly, Until: until}
			if kind != LimitAddress { // a part of which newcomers never get
				want.Limited, want.Until = ample, time.Time{}
			}
			if list[i] != want {
				t.Errorf("got %+v, want %+v", list[i], want)
			}
		}
	}
	want(0, time.Time{})
	for n := range 4 {
		f.open(ask(attempt(int64(n)), func(r *Request) { r.Domain = "example.com" }))
		if n < 3 {
			want(n+1, time.Time{})
		}
	}
	want(4, f.clock.Now().Add(15*time.Minute))
	f.clock.Advance(time.Minute)
	want(4, f.clock.Now().Add(14*time.Minute))
	f.clock.Advance(14 * time.Minute)
	want(3, time.Time{})
	// Wrong codes are told where there are some.
	sid := f.open(ask(secret("code"), proof(ProofCode), purpose(threepid.Add))).SID
	_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
	list, _, err := f.Limits(bg, ask().ThreePID, "")
	if want := (LimitState{Limit: LimitCodes, Purpose: threepid.Add, Used: 1, Limited: wrongCodes}); err != nil || len(list) != 3 || list[2] != want {
		t.Errorf("got %+v, %v, want the wrong code at the end", list, err)
	}
}

// TestRevokeByAddressIsOfOneMedium, though the text may be the same.
func TestRevokeByAddressIsOfOneMedium(t *testing.T) {
	f := newFixture(t)
	f.open(ask(byPhone))
	if n, err := f.RevokeByAddress(bg, threepid.ThreePID{Medium: threepid.Email, Address: ask(byPhone).Address}); n != 0 || err != nil {
		t.Errorf("got %d, %v, want none", n, err)
	}
}

// TestTiesAreRenewedByTheMinute, and one that names nothing is none.
func TestTiesAreRenewedByTheMinute(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		after time.Duration
		still bool
	}{{time.Minute - time.Millisecond, false}, {time.Minute, true}} {
		f := newFixture(t)
		wantErr(t, "NoteRegistration", f.NoteRegistration(bg, client, "Element", "u1"), nil)
		wantErr(t, "NoteRegistration of no client", f.NoteRegistration(bg, netip.Addr{}, "Element", "u1"), nil)
		wantErr(t, "NoteRegistration to nothing", f.NoteRegistration(bg, client, "Element", ""), nil)
		if got := f.entries(kindRegistration); got != 1 {
			t.Errorf("got %d registrations, want one", got)
		}
		f.clock.Advance(c.after)
		wantErr(t, "NoteRegistration again", f.NoteRegistration(bg, client, "Element", "u1"), nil)
		f.clock.Advance(registrationTime - c.after)
		if got, err := f.NewestRegistration(bg, client, "Element"); (got == "u1") != c.still || err != nil {
			t.Errorf("again after %v: got %q, %v, want still: %v", c.after, got, err, c.still)
		}
	}
}
