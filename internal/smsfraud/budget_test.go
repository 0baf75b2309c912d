// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"slices"
	"testing"
	"time"
)

// untilGone is when a bucket that has begun is no longer counted.
func untilGone(now time.Time, sp span) time.Duration { return sp.gone(sp.index(now)).Sub(now) }

func TestBudgetScopes(t *testing.T) {
	tests := []struct {
		scope      string
		in, in2    Request // both are counted
		out        Request // this is not
		outLimited bool    // ... but has a limit of the same size
	}{
		{"total", to(gb(1), "GB", owner), to(fr(1), "FR", owner), Request{}, false},
		{"country", to(gb(1), "GB"), to("447400000001", "GB"), to(fr(1), "FR"), true},
		{"prefix", to(gb(1), "GB"), to(gb(2), "GB"), to("447400000001", "GB"), true},
		{"FR", to(fr(1), "FR"), to("33700000001", "FR"), to(gb(1), "GB"), false},
		{"fr", to(fr(1), "FR"), to(fr(2), "fr"), to(gb(1), "GB"), false},
		{"+4479", to(gb(1), "GB"), to("447999999999", "GB"), to("447800000001", "GB"), false},
		{"+1", to("15550100001", "US"), to("14165550100", "CA"), to(gb(1), "GB"), false},
	}
	for _, tt := range tests {
		for _, per := range []Window{Hour, Day} {
			t.Run(tt.scope+" per "+per.String(), func(t *testing.T) {
				f := newFixture(t, func(c *Config) { c.Budgets = []Budget{{Scope: tt.scope, Limit: 2, Per: per}} })
				sp, _ := (&counter{}).window(per)
				wait := untilGone(began, sp)
				f.reserve(tt.in)
				f.reserve(tt.in2)
				f.refused(tt.in, WhyBudget, wait)
				if tt.out.Digits != "" {
					f.reserve(tt.out)
					f.reserve(tt.out)
					if tt.outLimited {
						f.refused(tt.out, WhyBudget, wait)
					} else {
						f.reserve(tt.out)
					}
				}
				f.refuses(tt.in2, WhyBudget, wait)
				f.reserve(tt.in2)
				f.reserve(tt.in)
			})
		}
	}
}

func TestBudgetsInMoney(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{
			{Scope: "total", Unit: Amount, Limit: 2 * int64(unit), Per: Day},
			{Scope: "FR", Unit: Amount, Limit: 300_000, Per: Hour},
		}
		c.Allow = []string{"FR", "GB"}
		c.Prices = map[string]Money{"FR": 100_000, "gb": 40_000}
	})
	wait := untilGone(began, hourSpan)
	f.reserve(to(fr(1), "FR", segments(2)))
	f.refused(to(fr(2), "FR", segments(2)), WhyBudget, wait) // 0.40
	f.reserve(to(fr(2), "FR"))
	f.refused(to(fr(3), "FR"), WhyBudget, wait)
	f.refused(to(fr(3), "FR", segments(4)), WhyBudget, time.Hour) // never fits
	for i := range 42 {
		f.reserve(to(gb(i), "GB", owner, segments(-i))) // at least one
	}
	f.refused(to(gb(0), "GB", owner), WhyBudget, untilGone(began, daySpan)) // 1.98 of 2.00
	if want := Money(1_980_000); f.watcher.money != want || f.watcher.parts != 2+1+42 {
		t.Errorf("the observer saw %s for %d segments, want %s for 45", f.watcher.money, f.watcher.parts, want)
	}
}

func TestDefaultPriceAndHugeMessages(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "total", Unit: Amount, Limit: 1 << 62, Per: Day}}
		c.Prices = map[string]Money{"default": maxPrice, "FR": 0}
	})
	f.reserve(to(fr(1), "FR", segments(1<<62)))
	f.reserve(to(gb(1), "GB", segments(1<<62)))
	if want := maxSegments * maxPrice; f.watcher.money != want {
		t.Errorf("got %s, want %s", f.watcher.money, want)
	}
}

// TestRetryAfterBudgetIsTheEarliest: with money, more than one bucket may have
// to go.
func TestRetryAfterBudgetIsTheEarliest(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "total", Unit: Amount, Limit: 10, Per: Hour}}
		c.Prices = map[string]Money{"default": 1}
	})
	for i := range 5 {
		f.reserve(to(gb(i), "GB", owner, segments(2)))
		f.clock.Advance(5 * time.Minute)
	}
	start := f.clock.Now()
	f.refuses(to(gb(9), "GB", owner, segments(5)), WhyBudget, untilGone(began.Add(10*time.Minute), hourSpan)-15*time.Minute)
	f.reserve(to(gb(9), "GB", owner, segments(5)))
	if got := f.clock.Now().Sub(start); got > 50*time.Minute {
		t.Errorf("waited for %s", got)
	}
}

func TestCharge(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "prefix", Limit: 3, Per: Day}}
		c.Conversion = Conversion{Sample: 1}
		c.PerNumber, c.NumbersPerClient, c.Backoff = 1, 1, []time.Duration{time.Hour}
		c.Prices = map[string]Money{"default": 7}
	})
	r := to(gb(1), "GB", from("192.0.2.1"), segments(2))
	f.reserve(r)
	for range 2 { // neither the number nor the client is asked
		if err := f.Charge(bg, r); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, f.Charge(bg, r), WhyBudget, untilGone(began, daySpan))
	f.watcher.want(t, "spent GB", 3)
	f.watcher.want(t, "refused GB budget", 1)
	if f.watcher.money != 42 {
		t.Errorf("spent %s, want 0.000042", f.watcher.money)
	}
	if got := f.status().Prefixes; len(got) != 1 || got[0].Sent != 1 {
		t.Errorf("got %+v, want one code sent", got)
	}
}

// TestBudgetsOfOneRangeShareACounter, whatever they are of.
func TestBudgetsOfOneRangeShareACounter(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "+4479", Limit: 9, Per: Day}, {Scope: "+4479", Limit: 9}, {Scope: "+33", Limit: 9}}
	})
	if got := f.budgets.below; !slices.Equal(got, []string{"4479", "33"}) {
		t.Errorf("got counters of %q", got)
	}
}

// TestEachBudgetIsKeptOnce, be it for all, for each, or for one.
func TestEachBudgetIsKeptOnce(t *testing.T) {
	all, err := parseBudgets([]Budget{{Scope: "total", Limit: 5, Per: Day}, {Scope: "country", Limit: 4, Per: Day}, {Scope: "GB", Limit: 3, Per: Day}})
	if err != nil {
		t.Fatal(err)
	}
	for sc, want := range map[scope]int{{kind: ofTotal}: 1, {ofCountry, "GB"}: 2, {ofCountry, "FR"}: 1} {
		if got := all.of(sc); len(got) != want {
			t.Errorf("%+v: got %+v, want %d", sc, got, want)
		}
	}
}

func TestNewBudgetKnowsWhatWasSpent(t *testing.T) {
	f := newFixture(t)
	f.reserve(to(gb(1), "GB"))
	for _, scope := range []string{"total", "country", "prefix", "GB"} {
		s := f.another(func(c *Config) { c.Budgets = []Budget{{Scope: scope, Limit: 1}} })
		_, err := s.Reserve(bg, to(gb(2), "GB"))
		wantRefusal(t, err, WhyBudget, untilGone(began, hourSpan))
	}
}
