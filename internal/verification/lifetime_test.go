// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"regexp"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestAliasOnlyInFlight: an alias is two secrets, unlike any others, and valid
// for one request.
func TestAliasOnlyInFlight(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	grammar := regexp.MustCompile(`^[0-9a-zA-Z_-]{24,255}$`)
	a := f.claim(completes(sid))
	if !grammar.MatchString(string(a.SID)) || !grammar.MatchString(string(a.ClientSecret)) || f.Owns(threepid.SID(a.SID)) {
		t.Errorf("alias %q, %q: out of grammar, or taken for a session", a.SID, a.ClientSecret)
	}
	for name, pair := range map[string][2]string{
		"wrong secret":      {string(a.SID), string(a.ClientSecret + "x")},
		"no secret":         {string(a.SID), ""},
		"the client's pair": {string(sid), string(ask().ClientSecret)},
		"real sid":          {string(sid), string(a.ClientSecret)},
		"unknown alias":     {string("00" + a.ClientSecret), string(a.ClientSecret)},
		"empty":             {"", ""},
		"short":             {"0", "0"},
		"no such partition": {string("zz" + a.SID[2:]), string(a.ClientSecret)},
	} {
		_, err := f.Validated(bg, threepid.AliasSID(pair[0]), threepid.AliasSecret(pair[1]))
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
		{"kept after asking", true, Kept, false},
		{"kept without asking", false, Kept, true},
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

// TestKeptProof: what a homeserver keeps with a UIA session is worth something to that
// one alone, for whatever purpose; without one it keeps nothing.
func TestKeptProof(t *testing.T) {
	for _, p := range []threepid.Purpose{threepid.Register, threepid.Password} {
		for _, uia := range []string{"uia", ""} {
			f := newFixture(t)
			c := completes(f.validated(ask(purpose(p))), func(c *Completion) { c.Purpose, c.UIASession = p, threepid.UIASession(uia) })
			a := f.claim(c)
			f.proves(a)
			f.finish(a, Kept)
			if got := f.claim(c); got.Live != (uia == "") || got.Replayed != (uia != "") {
				t.Errorf("%s in %q: live %v, replayed %v", p, uia, got.Live, got.Replayed)
			}
			c.UIASession = "another"
			if got := f.claim(c); got.Replayed {
				t.Errorf("%s in %q: replayed in another", p, uia)
			}
		}
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
