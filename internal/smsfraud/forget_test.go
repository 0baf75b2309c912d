// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// traces counts the entries in which a number can be recognised.
func (f *fixture) traces(digits string) (n int) {
	f.Helper()
	for _, name := range numberNames(f.keys, digits) {
		for _, entry := range f.plain() {
			if strings.Contains(entry, name) {
				n++
			}
		}
	}
	return n
}

// TestForgetLeavesNothingOfANumber: neither its messages nor its name with those who
// have reached it, by whichever key they were written; and of everything else, all.
func TestForgetLeavesNothingOfANumber(t *testing.T) {
	first, second := from("192.0.2.1"), from("192.0.2.2")
	for name, fills := range map[string]string{"one key": "k", "another key since": "nk"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(c *Config) {
				c.NumbersPerClient, c.Conversion = 2, Conversion{}
				c.Backoff = []time.Duration{time.Hour}
				c.Budgets = []Budget{{Scope: "total", Limit: 100, Per: Day}}
			})
			f.reserve(to(gb(1), "GB", second))
			f.clock.Advance(time.Hour)
			for _, r := range []Request{to(gb(1), "GB", first), to(gb(2), "GB", first)} {
				f.reserve(r)
			}
			f.Shield = f.another(func(c *Config) { c.Keys = ring(t, []byte(fills)...) })
			others, before := f.traces(gb(2)), f.status()
			if n, err := f.Forget(bg, gb(3)); n != 0 || err != nil || f.traces(gb(1)) != 3 {
				t.Errorf("Forget of a number that nobody knows = %d, %v, and %d traces of another", n, err, f.traces(gb(1)))
			}
			if n, err := f.Forget(bg, gb(1)); n != 3 || err != nil {
				t.Errorf("Forget = %d, %v, want it erased in 3 entries", n, err)
			}
			if got := f.traces(gb(1)); got != 0 || f.traces(gb(2)) != others {
				t.Errorf("%d traces are left, and %d of another number, want none and %d", got, f.traces(gb(2)), others)
			}
			if after := f.status(); !reflect.DeepEqual(before, after) {
				t.Errorf("the sums were %+v, are %+v", before, after)
			}
			if n, err := f.Forget(bg, gb(1)); n != 0 || err != nil {
				t.Errorf("Forget again = %d, %v", n, err)
			}
			f.refused(to(gb(2), "GB", first), WhyBackoff, time.Hour)
			f.refused(to(gb(1), "GB", first), WhyClientNumbers, day) // they have reached two, whichever
			f.reserve(to(gb(1), "GB", second))                       // and these one; the number has had none
			f.refused(to(gb(3), "GB", second), WhyClientNumbers, day-time.Hour)
		})
	}
}

// TestForgetCountsWhatItHasErased, and not what somebody else has meanwhile.
func TestForgetCountsWhatItHasErased(t *testing.T) {
	s := &searched{after: func() {}}
	f := newFixture(t, func(c *Config) { c.NumbersPerClient, s.Store, c.Store = 2, c.Store, s })
	f.reserve(to(gb(1), "GB", from("192.0.2.1")))
	s.after = func() {
		s.after = func() {}
		if n, err := (&fixture{Shield: f.another(), tb: f.tb, cfg: f.cfg, clock: f.clock, watcher: f.watcher}).Forget(bg, gb(1)); n != 2 || err != nil {
			t.Errorf("Forget meanwhile = %d, %v, want the client's entry and the number's own", n, err)
		}
	}
	if n, err := f.Forget(bg, gb(1)); n != 0 || err != nil {
		t.Errorf("Forget = %d, %v, want nothing: it was erased meanwhile", n, err)
	}
}

// TestForgottenIsNotGivenBack: a message of which nobody knows any more was sent.
func TestForgottenIsNotGivenBack(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Budgets = []Budget{{Scope: "total", Limit: 1, Per: Day}} })
	res := f.reserve(to(gb(1), "GB"))
	if _, err := f.Forget(bg, gb(1)); err != nil {
		t.Fatal(err)
	}
	if err := f.Release(bg, res); err != nil {
		t.Fatal(err)
	}
	f.refused(to(gb(1), "GB"), WhyBudget, untilGone(began, daySpan))
}
