// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// besieged is a shield of which strangers want all that they can get.
type besieged struct {
	*fixture
	passed time.Duration // truly
	had    []had
	owners int
}

// had is what a network has had.
type had struct {
	at      time.Duration
	network ratelimit.Network
	cost    Money
}

var siegeBudgets = []Budget{
	{Scope: "total", Limit: 20, Per: Hour},
	{Scope: "total", Limit: 60, Per: Day},
	{Scope: "total", Unit: Amount, Limit: 100, Per: Day},
	{Scope: "country", Limit: 9, Per: Hour},
	{Scope: "prefix", Limit: 5, Per: Hour},
}

func newBesieged(t tb) *besieged {
	return &besieged{fixture: newFixture(t, func(c *Config) {
		c.Budgets, c.NetworkPart = siegeBudgets, 20
		c.Prices = map[string]Money{"default": 2}
		c.Conversion = Conversion{Sample: 6, NetworkSample: 3, Pause: 2 * time.Hour}
		c.PerNumber, c.NumbersPerClient, c.CountriesPerClient, c.Backoff = 10, 10, 3, nil
	})}
}

// check holds what every network has had within the windows that end now against its
// part, and asks for an owner.
func (b *besieged) check(t *rapid.T) {
	for _, budget := range siegeBudgets[:3] {
		window := map[Window]time.Duration{Hour: time.Hour, Day: day}[budget.Per]
		used, dearest := map[ratelimit.Network]int64{}, Money(0)
		for _, h := range b.had {
			if h.at > b.passed-window {
				used[h.network] += map[Unit]int64{Messages: 1, Amount: int64(h.cost)}[budget.Unit]
				dearest = max(dearest, h.cost)
			}
		}
		for network, n := range used {
			if most := share(budget, 20, 3, dearest); n > most {
				t.Fatalf("%s has had %d of %+v, want at most %d", network, n, budget, most)
			}
		}
	}
	b.owner(t)
}

// owner checks that somebody with an account gets a message, and gives it back.
func (b *besieged) owner(t *rapid.T) {
	b.owners++
	home := netip.AddrFrom4([4]byte{10, byte(b.owners >> 8), byte(b.owners), 1})
	res, err := b.Reserve(bg, Request{Digits: gb(500_000 + b.owners), Region: "GB", Client: home, Class: ratelimit.Owner, Segments: 3})
	if err != nil {
		t.Fatalf("an owner is refused: %v", err)
	}
	if err := b.Release(bg, res); err != nil {
		t.Fatal(err)
	}
}

func (b *besieged) strangers(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "requests") {
		n := rapid.IntRange(0, 49).Draw(t, "number")
		r := Request{
			Digits: gb(n), Region: "GB", Segments: rapid.IntRange(1, 2).Draw(t, "segments"),
			Class:  pick(t, "class", ratelimit.Begun, ratelimit.Newcomer, ratelimit.Explained),
			Client: netip.AddrFrom4([4]byte{192, 0, rapid.Byte().Draw(t, "network") % 20, rapid.Byte().Draw(t, "host")}),
		}
		if n%2 == 0 {
			r.Digits, r.Region = fr(n), "FR"
		}
		_, err := b.Reserve(bg, r)
		var refusal *RefusedError
		if err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		if err == nil {
			b.had = append(b.had, had{b.passed, ratelimit.Wide(r.Client), 2 * Money(r.Segments)})
		}
	}
}

func (b *besieged) answers(t *rapid.T) {
	if err := b.Verified(bg, gb(2*rapid.IntRange(0, 24).Draw(t, "number")+1), "GB", netip.Addr{}); err != nil {
		t.Fatal(err)
	}
}

func (b *besieged) wait(t *rapid.T) {
	d := pick(t, "time", time.Second, 3*time.Minute, 20*time.Minute, time.Hour, 9*time.Hour)
	b.passed += d
	b.clock.Advance(d)
}

// TestOwnersGetThroughWhateverStrangersDo, and no network gets more than its part, over
// any window; neither a restart nor a clock that is set back changes that.
func TestOwnersGetThroughWhateverStrangersDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBesieged(t)
		t.Repeat(map[string]func(*rapid.T){
			"":          b.check,
			"strangers": b.strangers,
			"more":      b.strangers,
			"answers":   b.answers,
			"wait":      b.wait,
			"restart":   func(*rapid.T) { b.Shield = b.another() },
			"set back": func(t *rapid.T) {
				b.clock.Advance(-pick(t, "by", time.Second, skew, skew+1, 3*time.Hour, 400*day))
			},
		})
	})
}

// TestStrangersUseUpTheirs in that siege, or it would show nothing.
func TestStrangersUseUpTheirs(t *testing.T) {
	b := newBesieged(t)
	begun := func(r *Request) { r.Class = ratelimit.Begun }
	sent := 0
	for i := range 60 {
		for _, r := range []Request{to(gb(i), "GB", begun), to(fr(i), "FR", begun)} {
			from(fmt.Sprintf("192.0.%d.1", i))(&r)
			if _, err := b.Reserve(bg, r); err == nil {
				sent++
			}
		}
	}
	if sent != 10 { // two prefixes' worth
		t.Errorf("got %d messages", sent)
	}
	for i := range 60 {
		digits := fmt.Sprintf("49151%08d", i*100_000)
		if _, err := b.Reserve(bg, to(digits, "DE", begun, from(fmt.Sprintf("198.51.%d.1", i)))); err == nil {
			sent++
		}
	}
	if sent != 15 {
		t.Errorf("got %d messages, want three quarters of 20", sent)
	}
	b.refused(to("390612345678", "IT", begun), WhyBudget, untilGone(began, hourSpan))
	b.reserve(to("390612345678", "IT", owner))
}
