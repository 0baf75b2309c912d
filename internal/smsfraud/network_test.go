// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// parted has budgets of which a network may have a twentieth.
func parted(budgets ...Budget) func(*Config) {
	return func(c *Config) { c.Budgets, c.NetworkPart = budgets, 5 }
}

// spread asks for so many messages, each for another number and from another address.
func (f *fixture) spread(n int, address string, change ...func(*Request)) {
	f.Helper()
	for i := range n {
		f.reserve(to(gb(1000+i), "GB", append(change, from(fmt.Sprintf(address, i+1)))...))
	}
}

// TestANetworkHasItsPart, whoever in it asks and for whom; others have theirs.
func TestANetworkHasItsPart(t *testing.T) {
	for _, tt := range []struct{ mine, alsoMine, another string }{
		{"192.0.2.%d", "192.0.2.255", "192.0.3.0"},
		{"2001:db8:7:%x::1", "2001:db8:7:ffff:ffff::", "2001:db8:8::"},
		{"::ffff:198.51.100.%d", "198.51.100.77", "198.51.101.77"},
	} {
		for _, class := range ratelimit.Classes {
			as := func(r *Request) { r.Class = class }
			f := newFixture(t, parted(Budget{Scope: "total", Limit: 100, Per: Hour}, Budget{Scope: "country", Limit: 90, Per: Hour}))
			f.spread(5, tt.mine, as)
			f.refused(to(fr(1), "FR", from(tt.alsoMine), as), WhyNetwork, untilGone(began, hourSpan))
			f.reserve(to(fr(1), "FR", from(tt.another), as))
			f.reserve(to(fr(2), "FR", as)) // nobody knows who that is
			f.Shield = f.another()
			f.refuses(to(fr(1), "FR", from(tt.alsoMine), as), WhyNetwork, untilGone(began, hourSpan))
			f.reserve(to(fr(1), "FR", from(tt.alsoMine), as))
		}
	}
}

// TestPartsOfBudgets, in messages and in money, but three messages of what is small, and
// never more than there is.
func TestPartsOfBudgets(t *testing.T) {
	for _, tt := range []struct {
		limit int64
		unit  Unit
		most  int // messages of 2 segments, at 10 a segment
	}{
		{100, Messages, 5},
		{119, Messages, 5},
		{120, Messages, 6},
		{40, Messages, 3}, // for it is small
		{2, Messages, 2},
		{1 << 62, Messages, 20},
		{1600, Amount, 4},
		{1799, Amount, 4},
		{400, Amount, 3},
		{45, Amount, 2},
	} {
		for _, per := range []Window{Hour, Day} {
			f := newFixture(t, parted(Budget{Scope: "total", Limit: tt.limit, Unit: tt.unit, Per: per}), func(c *Config) {
				c.Prices = map[string]Money{"default": 10}
			})
			sent := 0
			for sent < 20 {
				_, err := f.Reserve(bg, to(gb(sent), "GB", from("192.0.2.1"), owner, segments(2)))
				if err != nil {
					break
				}
				sent++
			}
			if sent != tt.most {
				t.Errorf("of %d %s per %s a network gets %d messages, want %d", tt.limit, tt.unit, per, sent, tt.most)
			}
		}
	}
	f := newFixture(t, parted(Budget{Scope: "total", Limit: 20, Per: Day}), func(c *Config) { c.NetworkPart = -1 })
	f.spread(20, "192.0.2.%d", owner)
}

// TestClassesHaveTheirParts of what may be sent in all, and of nothing else.
func TestClassesHaveTheirParts(t *testing.T) {
	for class, want := range map[ratelimit.Class]int{ratelimit.Owner: 40, ratelimit.Begun: 30, ratelimit.Newcomer: 20, ratelimit.Explained: 10} {
		for _, b := range []Budget{{Scope: "total", Limit: 40, Per: Day}, {Scope: "total", Limit: 120, Unit: Amount, Per: Hour}} {
			f := newFixture(t, func(c *Config) { c.Budgets, c.Prices = []Budget{b}, map[string]Money{"default": 3} })
			as := func(r *Request) { r.Class = class }
			for i := range want {
				f.reserve(to(gb(i), "GB", as))
			}
			sp, _ := (&counter{}).window(b.Per)
			f.refused(to(gb(99), "GB", as), WhyBudget, untilGone(began, sp))
		}
	}
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "total", Limit: 1, Per: Day}, {Scope: "total", Limit: 5, Unit: Amount, Per: Hour}}
		c.Prices = map[string]Money{"default": 3}
	})
	f.refused(to(gb(1), "GB", segments(2), owner), WhyBudget, time.Hour) // what costs more than there is
	f.reserve(to(gb(1), "GB"))                                           // one cannot be divided
	f.refused(to(gb(1), "GB", owner), WhyBudget, untilGone(began, daySpan))
}

// TestOwnersAreNotRefusedForOthers, whatever these have used up; but what they get is
// counted there.
func TestOwnersAreNotRefusedForOthers(t *testing.T) {
	f := newFixture(t, breaking, func(c *Config) {
		c.NumbersPerClient, c.CountriesPerClient = 2, 1
		c.Budgets = []Budget{
			{Scope: "country", Limit: 14, Per: Day}, {Scope: "prefix", Limit: 13, Per: Day}, {Scope: "+447", Limit: 15, Per: Day}, {Scope: "FR", Limit: 1, Per: Day},
		}
	})
	me := from("192.0.2.1")
	f.flood(12)
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	for i := range 4 {
		f.reserve(to(gb(200+i), "GB", me, owner))
		f.reserve(to(fr(200+i), "FR", me, owner))
		if err := f.Charge(bg, to(gb(200+i), "GB")); err != nil {
			t.Errorf("Charge for an owner = %v", err)
		}
	}
	got := ""
	for _, u := range f.status().Budgets {
		got += fmt.Sprintf("%s %d, ", u.Of, u.Used)
	}
	if want := "FR 4, GB 20, +3361200… 4, +4479110… 20, +447… 20, FR 4, "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.refused(to(fr(1), "FR"), WhyBudget, untilGone(began, daySpan))
	f.reserve(to("491511234567", "DE", me)) // strangers beside them have had nothing yet
	f.refused(to("390612345678", "IT", me), WhyClientCountries, day)
}

// TestOwnersAreRefusedForTheirNumber, which has its limits whoever asks.
func TestOwnersAreRefusedForTheirNumber(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerNumber, c.Backoff = 2, []time.Duration{time.Minute} })
	f.reserve(to(gb(1), "GB"))
	f.refuses(to(gb(1), "GB", owner), WhyBackoff, time.Minute)
	f.reserve(to(gb(1), "GB", owner))
	f.refused(to(gb(1), "GB", owner), WhyNumber, day-time.Minute)
}

// TestChargeIsForWhoHasAsked, with their class and network; of a message that nobody
// knows any more, for a newcomer.
func TestChargeIsForWhoHasAsked(t *testing.T) {
	f := newFixture(t, parted(Budget{Scope: "total", Limit: 100, Per: Day}, Budget{Scope: "prefix", Limit: 4, Per: Day}))
	mine := to(gb(1), "GB", from("192.0.2.1"), owner)
	f.reserve(mine)
	for range 4 {
		if err := f.Charge(bg, to(gb(1), "GB")); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, f.Charge(bg, to(gb(1), "GB")), WhyNetwork, untilGone(began, daySpan))
	f.refused(to(fr(1), "FR", from("192.0.2.9"), owner), WhyNetwork, untilGone(began, daySpan))
	wantRefusal(t, f.Charge(bg, to(gb(2), "GB", owner)), WhyBudget, untilGone(began, daySpan)) // of the prefix
}
