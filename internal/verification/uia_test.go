// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func TestF30_UIASessionIsForOneUserAndOperation(t *testing.T) {
	f := newFixture(t)
	session := f.UIASession("@alice:x", "add 1 s")
	for _, c := range []struct {
		session, user, operation string
		want                     bool
	}{
		{string(session), "@alice:x", "add 1 s", true},
		{string(session), "@bob:x", "add 1 s", false},
		{string(session), "@alice:x", "add 2 s", false},
		{string(session), "@alice:xadd 1 s", "", false},
		{"", "@alice:x", "add 1 s", false},
		{".", "@alice:x", "add 1 s", false},
		{strings.TrimRight(string(session), string(session[len(session)-1:])), "@alice:x", "add 1 s", false},
		{string("_" + session[1:]), "@alice:x", "add 1 s", false},
		{string(newFixtureWithKey(t, 'x').UIASession("@alice:x", "add 1 s")), "@alice:x", "add 1 s", false},
	} {
		if got := f.UIASessionValid(threepid.UIASession(c.session), c.user, c.operation); got != c.want {
			t.Errorf("session %q for %s, %s: got %v, want %v", c.session, c.user, c.operation, got, c.want)
		}
	}
}

func newFixtureWithKey(t *testing.T, fill byte) *fixture {
	return newFixture(t, func(c *Config) { c.Keys = ring(t, fill) })
}

func TestF30_UIASessionEnds(t *testing.T) {
	f := newFixture(t)
	session := f.UIASession("@alice:x", "op")
	f.clock.Advance(uiaTime - time.Second)
	if !f.UIASessionValid(session, "@alice:x", "op") {
		t.Error("the session ended early")
	}
	f.clock.Advance(2 * time.Second)
	if f.UIASessionValid(session, "@alice:x", "op") {
		t.Error("the session did not end")
	}
}

// TestF30_UIASessionCannotBeMade tries whatever text.
func TestF30_UIASessionCannotBeMade(t *testing.T) {
	f := newFixture(t)
	good := f.UIASession("@alice:x", "op")
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(good)-1).Draw(t, "position")
		c := rapid.SampledFrom([]byte("ABCdef0123._-")).Draw(t, "character")
		forged := good[:i] + threepid.UIASession(string(c)) + good[i+1:]
		if forged != good && f.UIASessionValid(forged, "@alice:x", "op") {
			t.Fatalf("%q is as good as %q", forged, good)
		}
	})
}

func TestReadyChangesNothing(t *testing.T) {
	f := newFixture(t)
	c := Completion{SID: "unknown", ClientSecret: "monkeys_are_GREAT", Purpose: threepid.Register}
	if ready, err := f.Ready(bg, c); ready || !errors.Is(err, ErrNoSession) {
		t.Errorf("got %v, %v for somebody else's sid, want ErrNoSession", ready, err)
	}
	opened, err := f.RequestToken(bg, ask())
	if err != nil {
		t.Fatal(err)
	}
	c.SID = opened.SID
	want := func(want bool, c Completion) {
		t.Helper()
		for range 2 {
			if got, err := f.Ready(bg, c); err != nil || got != want {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
	}
	want(false, c)
	f.confirm(opened.SID, f.outbox.last(t).Token)
	want(true, c)
	other := c
	other.ClientSecret = "wrong"
	want(false, other)
	other = c
	other.Purpose = threepid.Password
	want(false, other)
	alias, err := f.Claim(bg, c)
	if err != nil || !alias.Live || alias.Address != "alice@example.com" || alias.Medium != threepid.Email {
		t.Fatalf("got %+v, %v, want a live alias for the address", alias, err)
	}
	ended := c
	ended.SID, ended.ClientSecret = f.validated(ask(secret("ended"))), "ended"
	f.clock.Advance(MaxLifetime) // of which there is a record for a minute more
	want(false, ended)
	f.clock.Advance(-MaxLifetime)
	if err := f.Finish(bg, alias, Completed); err != nil {
		t.Fatal(err)
	}
	want(false, c)
	f.clock.Advance(2 * MaxLifetime)
	want(false, c) // it is gone
}

func TestF32_UsersAreCountedApart(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.User = ratelimit.Limit{Burst: 2, Per: time.Minute} })
	for _, user := range []string{"@alice:x", "@bob:x"} {
		for _, action := range []string{"add", "bind"} {
			for range 2 {
				if err := f.CountUser(bg, action, user); err != nil {
					t.Fatalf("%s of %s: %v", action, user, err)
				}
			}
			var limited *LimitError
			if err := f.CountUser(bg, action, user); !errors.As(err, &limited) || limited.RetryAfter <= 0 || limited.Limit != LimitUser {
				t.Errorf("got %v, want a LimitError that says which, and when", err)
			}
		}
	}
}
