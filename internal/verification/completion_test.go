// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"maps"
	"regexp"
	"testing"
	"time"
)

// completes is how alice's client completes a session.
func completes(sid string, change ...func(*Completion)) Completion {
	c := Completion{SID: sid, ClientSecret: ask().ClientSecret, Purpose: Register, UIASession: "uia"}
	for _, f := range change {
		f(&c)
	}
	return c
}

// TestF39_UsedOnce: a session used for a completed password reset cannot be
// used again: not by its sid, not by its alias, not for anything.
func TestF39_UsedOnce(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask(purpose(Password)))
	reset := completes(sid, func(c *Completion) { c.Purpose = Password })
	a := f.claim(reset)
	if !a.Live || a.Replayed {
		t.Fatalf("alias of a validated session: live %v, replayed %v", a.Live, a.Replayed)
	}
	if n := f.entries(kindAlias); n != 1 {
		t.Errorf("%d aliases are stored, want 1", n)
	}
	got, err := f.Validated(bg, a.SID, a.ClientSecret)
	want := ThreePID{Medium: Email, Address: "alice@example.com", ValidatedAt: f.clock.Now()}
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
	for _, p := range []Purpose{Register, Password, Add} {
		for _, uia := range []string{"", "uia", "another"} {
			again := f.claim(completes(sid, func(c *Completion) { c.Purpose, c.UIASession = p, uia }))
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
		{"another purpose", func(c *Completion) { c.Purpose = Password }, false},
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
		c.UIASession = uia
		if f.claim(c).Replayed {
			t.Errorf("consumed outside any UIA session, yet replayed in %q", uia)
		}
	}
}

// TestTaint: a mark on a UIA session lasts longer than any homeserver keeps
// one, and stands for that one only.
func TestTaint(t *testing.T) {
	f := newFixture(t)
	check := func(uia string, want bool) {
		t.Helper()
		if got, err := f.Tainted(bg, uia); got != want || err != nil {
			t.Errorf("Tainted(%q) = %v, %v, want %v", uia, got, err, want)
		}
	}
	check("uia", false)
	if err := f.Taint(bg, "uia"); err != nil {
		t.Fatal(err)
	}
	check("uia", true)
	check("UIA", false)
	check("", false)
	f.clock.Advance(29 * 24 * time.Hour)
	check("uia", true)
	if err := f.Taint(bg, "uia"); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(29 * 24 * time.Hour)
	check("uia", true)
	f.clock.Advance(2 * 24 * time.Hour)
	check("uia", false)
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
			return completes(f.validated(ask()), func(c *Completion) { c.Purpose = Password })
		}},
		{"an add session registers", func(f *fixture) Completion {
			return completes(f.validated(ask(purpose(Add))))
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
			if a.SID == c.SID || a.ClientSecret == c.ClientSecret || len(a.SID) == 0 {
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
		if f.Owns(sid) {
			t.Errorf("Owns(%q)", sid)
		}
		a, err := f.Claim(bg, completes(sid))
		wantErr(t, "Claim of a foreign sid", err, ErrNoSession)
		if a != nil {
			t.Errorf("Claim(%q) made an alias", sid)
		}
	}
}

// TestAliasOnlyInFlight: an alias is two secrets, unlike any others, and valid
// for one request.
func TestAliasOnlyInFlight(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	grammar := regexp.MustCompile(`^[0-9a-zA-Z_-]{24,255}$`)
	a := f.claim(completes(sid))
	if !grammar.MatchString(a.SID) || !grammar.MatchString(a.ClientSecret) || f.Owns(a.SID) {
		t.Errorf("alias %q, %q: out of grammar, or taken for a session", a.SID, a.ClientSecret)
	}
	for name, pair := range map[string][2]string{
		"wrong secret":      {a.SID, a.ClientSecret + "x"},
		"no secret":         {a.SID, ""},
		"the client's pair": {sid, ask().ClientSecret},
		"real sid":          {sid, a.ClientSecret},
		"unknown alias":     {"00" + a.ClientSecret, a.ClientSecret},
		"empty":             {"", ""},
		"short":             {"0", "0"},
		"no such partition": {"zz" + a.SID[2:], a.ClientSecret},
	} {
		_, err := f.Validated(bg, pair[0], pair[1])
		wantErr(t, name, err, ErrNotValidated)
	}
	for range 2 {
		if !f.proves(a) {
			t.Errorf("a homeserver that asks twice is not answered twice")
		}
	}
	f.finish(a, Refused)
	if f.proves(a) {
		t.Errorf("the alias outlives its request")
	}
	b := f.claim(completes(sid))
	if !b.Live || b.SID == a.SID || b.ClientSecret == a.ClientSecret {
		t.Errorf("after a refusal the session is not free again: %+v", b)
	}
	if f.proves(a) {
		t.Errorf("the old alias serves the new claim")
	}
	f.clock.Advance(DefaultInFlight - time.Millisecond)
	if !f.proves(b) {
		t.Errorf("the alias ended before its time")
	}
	f.clock.Advance(time.Millisecond)
	if f.proves(b) {
		t.Errorf("the alias lives beyond its time")
	}
}

// TestOutcomes: what a session is after each end of a completion, and whether
// it can be claimed again.
func TestOutcomes(t *testing.T) {
	tests := []struct {
		name     string
		asked    bool
		outcome  Outcome // 0: the process died
		reusable bool
	}{
		{"accepted", true, Completed, false},
		{"accepted without asking", false, Completed, false},
		{"refused after asking", true, Refused, true},
		{"refused without asking", false, Refused, true},
		{"answer lost after asking", true, Unknown, false},
		{"answer lost before asking", false, Unknown, true},
		{"died after asking", true, 0, false},
		{"died before asking", false, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			sid := f.validated(ask())
			a := f.claim(completes(sid))
			if tt.asked && !f.proves(a) {
				t.Fatalf("a live alias proves nothing")
			}
			if tt.outcome != 0 {
				f.finish(a, tt.outcome)
			} else {
				if f.claim(completes(sid)).Live {
					t.Errorf("claimed twice at the same time")
				}
				f.clock.Advance(DefaultInFlight)
			}
			if f.proves(a) {
				t.Errorf("the alias lives on")
			}
			if got := f.claim(completes(sid)).Live; got != tt.reusable {
				t.Errorf("can be claimed again: %v, want %v", got, tt.reusable)
			}
		})
	}
}

// TestLateFinish: a request ends after its claim ran out and another one
// completed the session. It must not be counted a second time.
func TestLateFinish(t *testing.T) {
	for _, outcome := range []Outcome{Refused, Completed, Unknown} {
		f := newFixture(t)
		sid := f.validated(ask())
		slow := f.claim(completes(sid))
		f.clock.Advance(DefaultInFlight)
		fast := f.claim(completes(sid))
		if !fast.Live || f.proves(slow) || !f.proves(fast) {
			t.Fatalf("the second claim does not replace the first")
		}
		f.finish(fast, Completed)
		f.finish(slow, outcome)
		if s := f.record(sid); s.State != Consumed {
			t.Errorf("outcome %d of the late request made the session %s", outcome, s.State)
		}
		if n := f.watcher.count("register email consumed"); n != 1 {
			t.Errorf("outcome %d: %d transitions to consumed, want 1", outcome, n)
		}
	}
}

// TestF13_TwentyFourHours: a session cannot be validated 24 hours after it was
// opened, nor used 24 hours after it was validated.
func TestF13_TwentyFourHours(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		alive bool
	}{{"just before", 24*time.Hour - time.Millisecond, true}, {"at", 24 * time.Hour, false}, {"after", 25 * time.Hour, false}} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(c *Config) { c.TokenLifetime, c.InFlight = MaxLifetime, MaxLifetime })
			sid := f.open(ask()).SID
			f.clock.Advance(tt.after)
			_, err := f.Submit(bg, Submission{SID: sid, Token: f.outbox.last(t).Token})
			if (err == nil) != tt.alive {
				t.Errorf("validating: %v, want success %v", err, tt.alive)
			}

			sid = f.validated(ask(secret("second")))
			c := completes(sid, func(c *Completion) { c.ClientSecret = "second" })
			held := f.claim(completes(f.validated(ask(secret("third"))), func(c *Completion) { c.ClientSecret = "third" }))
			f.clock.Advance(tt.after)
			if got := f.claim(c).Live; got != tt.alive {
				t.Errorf("claimed: %v, want %v", got, tt.alive)
			}
			if got := f.proves(held); got != tt.alive {
				t.Errorf("a claim from before proves: %v, want %v", got, tt.alive)
			}
		})
	}
}

// TestF13_SendingAgainIsNoModification: only opening and validating move the
// end (IS API, "Terminology"), or a session could be kept alive for ever.
func TestF13_SendingAgainIsNoModification(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	end := f.record(sid).Until
	for n := range 23 {
		f.clock.Advance(time.Hour)
		f.open(ask(attempt(int64(n + 2))))
		_, _ = f.Inspect(bg, Submission{SID: sid, Token: "wrong"})
		if got := f.record(sid).Until; got != end {
			t.Fatalf("after %d h the session ends at %d, want %d", n+1, got, end)
		}
	}
	f.confirm(sid, f.outbox.last(t).Token)
	validated := f.clock.Now()
	f.clock.Advance(time.Hour)
	f.confirm(sid, f.outbox.last(t).Token)
	if got, want := f.record(sid).Until, validated.Add(24*time.Hour).UnixMilli(); got != want {
		t.Errorf("the validated session ends at %d, want %d", got, want)
	}
}
