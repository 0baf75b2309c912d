// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"fmt"
	"testing"
	"time"
)

// TestStatusShowsWhatCounts: what is used of each budget, by the names that people
// give to what it is for; of those for each country or prefix, what is in use.
func TestStatusShowsWhatCounts(t *testing.T) {
	for _, tt := range []struct {
		scope string
		unit  Unit
		want  string // of: used, …
	}{
		{"total", Messages, "total:4"},
		{"total", Amount, "total:14"},
		{"country", Messages, "FR:1 GB:2 ZZ:1"},
		{"country", Amount, "FR:6 GB:6 ZZ:2"},
		{"prefix", Messages, "+3361200…:1 +4474000…:1 +4479110…:1 +8821312…:1"},
		{"prefix", Amount, "+3361200…:6 +4474000…:2 +4479110…:4 +8821312…:2"},
		{"FR", Messages, "FR:1"},
		{"FR", Amount, "FR:6"},
		{"fr", Messages, "FR:1"},
		{"DE", Messages, "DE:0"},
		{"+4479", Messages, "+4479…:1"},
		{"+4479", Amount, "+4479…:4"},
		{"+49", Messages, "+49…:0"},
	} {
		for _, per := range []Window{Hour, Day} {
			b := Budget{Scope: tt.scope, Unit: tt.unit, Limit: 1000, Per: per}
			f := newFixture(t, func(c *Config) {
				c.Prices = map[string]Money{"default": 2, "FR": 3}
				c.Budgets = []Budget{b}
			})
			for _, r := range []Request{
				to(gb(1), "GB", segments(2)), to("447400000001", "GB"), to(fr(1), "FR", segments(2)), to("882131234567", ""),
			} {
				f.reserve(r)
			}
			shown := func() (text string) {
				for _, u := range f.status().Budgets {
					if text += fmt.Sprintf(" %s:%d", u.Of, u.Used); u.Budget != b {
						t.Errorf("%s: it is shown as %+v", tt.scope, u.Budget)
					}
				}
				return text
			}
			if got := shown(); got != " "+tt.want {
				t.Errorf("%s in %s per %s: got%s, want %s", tt.scope, b.Unit, b.Per, got, tt.want)
			}
			sp, _ := (&counter{}).window(per)
			f.clock.Advance(untilGone(began, sp) - 1)
			if got := shown(); got != " "+tt.want {
				t.Errorf("%s in %s per %s, at the end of its window: got%s, want %s", tt.scope, b.Unit, b.Per, got, tt.want)
			}
			f.clock.Advance(1)
			for _, u := range f.status().Budgets {
				if u.Used != 0 || u.Of != "total" && !named(tt.scope) {
					t.Errorf("%s in %s per %s, after its window: %+v", tt.scope, b.Unit, b.Per, u)
				}
			}
		}
	}
}

// named is whether a budget is for one country or prefix, and not for each.
func named(scope string) bool { return scope != "country" && scope != "prefix" }

// TestStatusShowsPrefixes, those with codes and those that are paused, in order, as
// long as that is so.
func TestStatusShowsPrefixes(t *testing.T) {
	f := newFixture(t, breaking)
	f.flood(12)
	f.verify(2)
	f.reserve(to(fr(1), "FR"))
	if got := fmt.Sprint(f.status().Prefixes); got != "[{+3361200… FR 1 0} {+4479110… GB 12 2}]" {
		t.Errorf("got %s", got)
	}
	f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
	for _, wait := range []time.Duration{0, 2*time.Hour - 1} {
		f.clock.Advance(wait)
		got := f.status().Paused
		if len(got) != 1 || got[0].Name != "+4479110…" || got[0].Region != "GB" || !got[0].Since.Equal(began) || !got[0].Until.Equal(began.Add(2*time.Hour)) {
			t.Errorf("after %s: got %+v", wait, got)
		}
	}
	f.clock.Advance(1)
	if got := f.status(); len(got.Paused)+len(got.Prefixes) != 0 {
		t.Errorf("after the pause: got %+v", got)
	}
	f.watcher.want(t, "resumed GB", 0) // looking changes nothing
}

// TestAskTellsHowMuchANumberHasHad, within the day, and what it would be told.
func TestAskTellsHowMuchANumberHasHad(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerNumber, c.Deny = 3, []string{"FR"} })
	for n := range 3 {
		if got, err := f.Ask(bg, to(gb(1), "GB")); err != nil || got != (NumberState{Sent: n, Limit: 3}) {
			t.Errorf("after %d messages: %+v, %v", n, got, err)
		}
		f.reserve(to(gb(1), "GB"))
	}
	got, err := f.Ask(bg, to(gb(1), "GB"))
	if err != nil || got.Sent != 3 || got.Refused == nil || *got.Refused != (RefusedError{Why: WhyNumber, RetryAfter: day}) {
		t.Errorf("when it is full: %+v, %v", got, err)
	}
	if got, err := f.Ask(bg, to(fr(1), "FR")); err != nil || got.Refused == nil || got.Refused.Why != WhyCountry {
		t.Errorf("where nothing is sent: %+v, %v", got, err)
	}
	if got, err := f.Ask(bg, to("44x", "GB")); err == nil || got != (NumberState{}) {
		t.Errorf("of what is no number: %+v, %v", got, err)
	}
	f.clock.Advance(day)
	if got, err := f.Ask(bg, to(gb(1), "GB")); err != nil || got != (NumberState{Limit: 3}) {
		t.Errorf("a day later: %+v, %v", got, err)
	}
	f.reserve(to(gb(1), "GB"))
	f.clock.Advance(time.Hour)
	f.reserve(to(gb(1), "GB"))
	f.clock.Advance(day - time.Hour) // the first is just a day old
	if got, err := f.Ask(bg, to(gb(1), "GB")); err != nil || got != (NumberState{Sent: 1, Limit: 3}) {
		t.Errorf("a day after the first of two: %+v, %v", got, err)
	}
}
