// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// completes is how alice's client completes a session.
func completes(sid threepid.SID, change ...func(*Completion)) Completion {
	c := Completion{SID: sid, ClientSecret: ask().ClientSecret, Purpose: threepid.Register, UIASession: "uia"}
	for _, f := range change {
		f(&c)
	}
	return c
}

// TestF39_UsedOnce: a session used for a completed password reset cannot be
// used again: not by its sid, not by its alias, not for anything.
func TestF39_UsedOnce(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask(purpose(threepid.Password)))
	reset := completes(sid, func(c *Completion) { c.Purpose = threepid.Password })
	a := f.claim(reset)
	if !a.Live || a.Replayed {
		t.Fatalf("alias of a validated session: live %v, replayed %v", a.Live, a.Replayed)
	}
	if n := f.entries(kindAlias); n != 1 {
		t.Errorf("%d aliases are stored, want 1", n)
	}
	got, err := f.Validated(bg, a.SID, a.ClientSecret)
	want := Proven{ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}, ValidatedAt: f.clock.Now()}
	if err != nil || got.Medium != want.Medium || got.Address != want.Address || !got.ValidatedAt.Equal(want.ValidatedAt) {
		t.Fatalf("Validated = %+v, %v, want %+v", got, err, want)
	}
	f.finish(a, Completed)

	if n := f.entries(kindAlias); n != 0 {
		t.Errorf("%d aliases are left after the request, want none", n)
	}
	if f.proves(a) {
		t.Errorf("the alias proves something after its request has ended")
	}
	for _, p := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
		for _, uia := range []string{"", "uia", "another"} {
			again := f.claim(completes(sid, func(c *Completion) { c.Purpose, c.UIASession = p, threepid.UIASession(uia) }))
			if again.Live || again.Replayed || f.proves(again) {
				t.Errorf("used again for %s in UIA session %q: live %v, replayed %v", p, uia, again.Live, again.Replayed)
			}
		}
	}
	if got := f.confirm(sid, f.outbox.last(t).Token); got.State != Consumed || !got.Already {
		t.Errorf("a click afterwards = %+v, want already consumed", got)
	}
	f.finish(a, Completed)
	f.finish(a, Refused)
	if s := f.record(sid); s.State != Consumed {
		t.Errorf("finishing again made the session %s", s.State)
	}
	if n := f.watcher.count("password email consumed"); n != 1 {
		t.Errorf("%d transitions to consumed, want 1", n)
	}
}

// TestReplayed: a registration may go on in the UIA session that consumed its
// email stage, and is told apart from everybody else who comes with that sid.
func TestReplayed(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	f.finish(f.claim(completes(sid)), Completed)
	tests := []struct {
		name   string
		change func(*Completion)
		want   bool
	}{
		{"the same UIA session", func(*Completion) {}, true},
		{"another UIA session", func(c *Completion) { c.UIASession = "another" }, false},
		{"no UIA session", func(c *Completion) { c.UIASession = "" }, false},
		{"another client_secret", func(c *Completion) { c.ClientSecret = "another" }, false},
		{"another purpose", func(c *Completion) { c.Purpose = threepid.Password }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.claim(completes(sid, tt.change))
			if a.Replayed != tt.want || a.Live || f.proves(a) {
				t.Errorf("replayed %v, want %v; live %v", a.Replayed, tt.want, a.Live)
			}
		})
	}

	bare := f.validated(ask(secret("bare")))
	c := completes(bare, func(c *Completion) { c.ClientSecret, c.UIASession = "bare", "" })
	f.finish(f.claim(c), Completed)
	for _, uia := range []string{"", "uia"} {
		c.UIASession = threepid.UIASession(uia)
		if f.claim(c).Replayed {
			t.Errorf("consumed outside any UIA session, yet replayed in %q", uia)
		}
	}
}

// TestDeadAlias proves nothing, and ending its flight does nothing.
func TestDeadAlias(t *testing.T) {
	f := newFixture(t)
	f.validated(ask())
	before := dump(t, f.cfg.Store)
	a := f.DeadAlias()
	if a.Live || a.Replayed || f.proves(a) {
		t.Errorf("a dead alias is live")
	}
	if a.SID == "" || a.ClientSecret == "" {
		t.Errorf("a dead alias is %q, %q: without credentials the homeserver would say something else", a.SID, a.ClientSecret)
	}
	f.finish(a, Completed)
	if after := dump(t, f.cfg.Store); !maps.Equal(before, after) {
		t.Errorf("a dead alias changed the store")
	}
}

// TestClaimRefusals: the alias exists, but proves nothing.
func TestClaimRefusals(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(f *fixture) Completion
	}{
		{"not validated yet", func(f *fixture) Completion { return completes(f.open(ask()).SID) }},
		{"a register session resets a password", func(f *fixture) Completion {
			return completes(f.validated(ask()), func(c *Completion) { c.Purpose = threepid.Password })
		}},
		{"an add session registers", func(f *fixture) Completion {
			return completes(f.validated(ask(purpose(threepid.Add))))
		}},
		{"wrong client_secret", func(f *fixture) Completion {
			return completes(f.validated(ask()), func(c *Completion) { c.ClientSecret = "another" })
		}},
		{"empty client_secret", func(f *fixture) Completion {
			return completes(f.validated(ask()), func(c *Completion) { c.ClientSecret = "" })
		}},
		{"in use by another request", func(f *fixture) Completion {
			sid := f.validated(ask())
			f.claim(completes(sid))
			return completes(sid)
		}},
		{"revoked", func(f *fixture) Completion {
			sid := f.open(ask()).SID
			for range DefaultMaxTries {
				_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
			}
			return completes(sid)
		}},
		{"long gone", func(f *fixture) Completion {
			sid := f.validated(ask())
			f.clock.Advance(48 * time.Hour)
			return completes(sid)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			c := tt.prepare(f)
			before := dump(t, f.cfg.Store)
			a := f.claim(c)
			if a.Live || a.Replayed || f.proves(a) {
				t.Errorf("alias is live: %v, replayed: %v", a.Live, a.Replayed)
			}
			if string(a.SID) == string(c.SID) || string(a.ClientSecret) == string(c.ClientSecret) || len(a.SID) == 0 {
				t.Errorf("the alias shows the client's own credentials")
			}
			f.finish(a, Completed)
			if after := dump(t, f.cfg.Store); !maps.Equal(before, after) {
				t.Errorf("an alias that is not live changed the store")
			}
		})
	}
}

func TestClaimOfForeignSID(t *testing.T) {
	f := newFixture(t)
	for _, sid := range []string{"", "1", "123456", "00AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\x00\xff"} {
		if f.Owns(threepid.SID(sid)) {
			t.Errorf("Owns(%q)", sid)
		}
		a, err := f.Claim(bg, completes(threepid.SID(sid)))
		wantErr(t, "Claim of a foreign sid", err, ErrNoSession)
		if a != nil {
			t.Errorf("Claim(%q) made an alias", sid)
		}
	}
}

// TestUnasked: it is only said of a homeserver that it has not asked where that
// is known.
func TestUnasked(t *testing.T) {
	reset := func(sid threepid.SID) Completion {
		return completes(sid, func(c *Completion) { c.Purpose = threepid.Password })
	}
	tests := []struct {
		name  string
		while func(f *fixture, sid threepid.SID, a *Alias)
		want  bool
	}{
		{"nobody asks", func(*fixture, threepid.SID, *Alias) {}, true},
		{"it is asked for", func(f *fixture, _ threepid.SID, a *Alias) { f.proves(a) }, false},
		{"the owner ends the session", func(f *fixture, sid threepid.SID, _ *Alias) {
			if err := f.RevokeSession(bg, sid); err != nil {
				f.Fatalf("RevokeSession: %v", err)
			}
		}, false},
		{"it takes too long", func(f *fixture, _ threepid.SID, _ *Alias) { f.clock.Advance(f.cfg.InFlight) }, false},
		{"the session ends", func(f *fixture, sid threepid.SID, _ *Alias) {
			s := f.record(sid)
			s.Until = f.clock.Now().UnixMilli()
			p, _ := sealed.PartitionIn(sid)
			wantErr(t, "end", f.store.Update(bg, p, func(txn store.Txn) error { return f.putSession(txn, s) }), nil)
		}, false},
	}
	for _, tt := range tests {
		f := newFixture(t)
		sid := f.validated(ask(purpose(threepid.Password)))
		a := f.claim(reset(sid))
		tt.while(f, sid, a)
		f.finish(a, Refused)
		if got := a.Unasked; got != tt.want {
			t.Errorf("%s: got unasked %v, want %v", tt.name, got, tt.want)
		}
	}
	// It is known when it is written down.
	s := newShaky(t)
	a := s.claim(completes(s.validated(ask())))
	for n := 1; ; n++ {
		s.disk.Arm(n)
		err := s.Finish(bg, a, Refused)
		if a.Unasked != (err == nil) {
			t.Errorf("%s: %v, and unasked %v", s.disk.Broke(), err, a.Unasked)
		}
		if err == nil || strings.HasPrefix(s.disk.Broke(), storetest.Committed) {
			break
		}
	}
}
