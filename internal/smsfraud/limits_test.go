// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Backoff = []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute}
	})
	number := to(gb(1), "GB")
	for i, wait := range []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 5 * time.Minute} {
		f.reserve(number)
		f.reserve(to(gb(10+i), "GB")) // others do not wait
		f.refuses(number, WhyBackoff, wait)
	}
	f.clock.Advance(24 * time.Hour)
	f.reserve(number)
	f.refuses(number, WhyBackoff, 30*time.Second) // all is forgotten
}

// TestBackoffWhileMessagesAreForgotten: who has had two waits longer than who has had
// one, but not longer than until they have had one.
func TestBackoffWhileMessagesAreForgotten(t *testing.T) {
	for _, tt := range []struct{ first, second, between, want time.Duration }{
		{time.Hour, 11 * time.Hour, 2 * time.Hour, 11 * time.Hour},
		{time.Hour, 10 * time.Hour, 14 * time.Hour, 10 * time.Hour},   // just then
		{time.Hour, 10*time.Hour + 1, 14 * time.Hour, 10 * time.Hour}, // forgotten first
		{time.Hour, 10 * time.Hour, 20 * time.Hour, 4 * time.Hour},
		{6 * time.Hour, 10 * time.Hour, 20 * time.Hour, 6 * time.Hour}, // one is enough to wait for
		{time.Hour, 24 * time.Hour, time.Hour, 23 * time.Hour},
	} {
		f := newFixture(t, func(c *Config) { c.Backoff = []time.Duration{tt.first, tt.second} })
		f.reserve(to(gb(1), "GB"))
		f.clock.Advance(tt.between)
		f.reserve(to(gb(1), "GB"))
		f.refuses(to(gb(1), "GB"), WhyBackoff, tt.want)
		f.reserve(to(gb(1), "GB"))
	}
}

// TestRefusalAfterTheClockWasSetBack: what was brought to the present is stored there,
// whatever else is counted, or it would be brought there for ever.
func TestRefusalAfterTheClockWasSetBack(t *testing.T) {
	for _, back := range []time.Duration{10 * day, skew + time.Minute} { // of which sums take no notice
		f := newFixture(t, func(c *Config) { c.PerNumber, c.Conversion = 1, Conversion{Window: 7 * day} })
		f.reserve(to(gb(1), "GB"))
		f.clock.Advance(-back)
		f.refuses(to(gb(1), "GB"), WhyNumber, day)
		f.reserve(to(gb(1), "GB"))
	}
}

func TestPerNumber(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerNumber = 3 })
	number := to(gb(1), "GB")
	for range 3 {
		f.reserve(number)
		f.clock.Advance(time.Hour)
	}
	f.reserve(to(gb(2), "GB"))
	for range 3 { // one falls out of the day after another
		f.refuses(number, WhyNumber, f.after(number))
		f.reserve(number)
	}
	if got, want := f.clock.Now().Sub(began), 26*time.Hour; got != want {
		t.Errorf("the sixth message was sent after %s, want %s", got, want)
	}
}

// after is what a refusal says now.
func (f *fixture) after(r Request) time.Duration {
	f.Helper()
	_, err := f.Reserve(bg, r)
	var refusal *RefusedError
	if !errors.As(err, &refusal) {
		f.Fatalf("Reserve = %v, want a refusal", err)
	}
	return refusal.RetryAfter
}

func TestPerNumberLoweredByReload(t *testing.T) {
	f := newFixture(t)
	number := to(gb(1), "GB")
	for range 5 {
		f.reserve(number)
		f.clock.Advance(time.Hour)
	}
	f.Shield = f.another(func(c *Config) { c.PerNumber = 2 })
	f.refuses(number, WhyNumber, 22*time.Hour) // until the fourth is a day old
	f.reserve(number)
}

func TestClients(t *testing.T) {
	tests := []struct {
		name, first, second string
		same                bool
	}{
		{"one address", "192.0.2.1", "192.0.2.1", true},
		{"two addresses", "192.0.2.1", "192.0.2.2", false},
		{"mapped", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"one /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"two /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"zones", "fe80::1%eth0", "fe80::2%eth1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(c *Config) { c.NumbersPerClient = 1 })
			f.reserve(to(gb(1), "GB", from(tt.first)))
			f.reserve(to(gb(1), "GB", from(tt.second))) // the same number again
			if tt.same {
				f.refused(to(gb(2), "GB", from(tt.second)), WhyClientNumbers, 24*time.Hour)
				return
			}
			// The second has reached one number, and not two.
			f.refused(to(gb(2), "GB", from(tt.first)), WhyClientNumbers, 24*time.Hour)
			f.Shield = f.another(func(c *Config) { c.NumbersPerClient = 2 })
			f.reserve(to(gb(2), "GB", from(tt.second)))
		})
	}
}

func TestDifferentClientsHaveDifferentLimits(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.NumbersPerClient = 1 })
	for i, addr := range []string{"192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"} {
		f.reserve(to(gb(i), "GB", from(addr)))
	}
	for i := range 5 { // nobody knows who they are
		f.reserve(to(gb(100+i), "GB"))
	}
}

func TestNumbersPerClient(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.NumbersPerClient = 2 })
	me := from("192.0.2.1")
	f.reserve(to(gb(1), "GB", me))
	f.clock.Advance(time.Hour)
	f.reserve(to(gb(2), "GB", me))
	f.clock.Advance(time.Hour)
	f.reserve(to(gb(1), "GB", me)) // used again: the second is the older one now
	f.refuses(to(gb(3), "GB", me), WhyClientNumbers, 23*time.Hour)
	f.reserve(to(gb(3), "GB", me))
	f.reserve(to(gb(1), "GB", me))
	f.refused(to(gb(2), "GB", me), WhyClientNumbers, 24*time.Hour)
}

func TestCountriesPerClient(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.CountriesPerClient = 2 })
	me := from("2001:db8::1")
	f.reserve(to(gb(1), "GB", me))
	f.clock.Advance(time.Hour)
	f.reserve(to(fr(1), "FR", me))
	f.reserve(to(fr(2), "FR", me))
	f.reserve(to("882131234567", "", from("2001:db8:1::")))
	f.refuses(to("882131234567", "", me), WhyClientCountries, 23*time.Hour)
	f.reserve(to("882131234567", "", me))
	f.watcher.want(t, "refused ZZ client_countries", 2)
}

// TestManyNumbersOfOneClient: where numbers are not limited, countries still
// are, and the record of the client stays small.
func TestManyNumbersOfOneClient(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.CountriesPerClient = 2 })
	me := from("192.0.2.1")
	f.reserve(to(fr(1), "FR", me))
	for i := range maxUses + 20 {
		f.reserve(to(gb(i), "GB", me))
	}
	f.refused(to("882131234567", "", me), WhyClientCountries, 24*time.Hour)
	for key, value := range f.entries() {
		if len(value) > 60<<10 {
			t.Errorf("entry of kind %s has %d bytes", key[:2], len(value))
		}
	}
}

// TestLongestWaitCounts: the reason that is told is the first of the list, the
// time that of the last obstacle.
func TestLongestWaitCounts(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Budgets = []Budget{{Scope: "total", Limit: 1, Per: Hour}}
		c.PerNumber, c.Backoff = 1, []time.Duration{time.Hour}
	})
	f.reserve(to(gb(1), "GB"))
	f.refused(to(gb(1), "GB"), WhyBudget, 24*time.Hour)
	f.watcher.want(t, "refused GB budget", 1)
	got := fmt.Sprint(&RefusedError{Why: WhyBudget, RetryAfter: time.Minute})
	if want := "refuse message: budget, retry after 1m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestClientsAreToldApartByWhatTheyHave: an IPv6 customer by their /64, to the bit.
func TestClientsAreToldApartByWhatTheyHave(t *testing.T) {
	for second, same := range map[string]bool{
		"2001:db8:0:2::": true, "2001:db8:0:2:8000::": true, "2001:db8:0:2:ffff:ffff:ffff:ffff": true,
		"2001:db8:0:3::": false, "2001:db8:0:1:ffff:ffff:ffff:ffff": false, "2001:db8:8000:2::": false,
	} {
		f := newFixture(t, func(c *Config) { c.NumbersPerClient = 1 })
		f.reserve(to(gb(1), "GB", from("2001:db8:0:2::1")))
		if r := to(gb(2), "GB", from(second)); same {
			f.refused(r, WhyClientNumbers, day)
		} else {
			f.reserve(r)
		}
	}
}

// TestClientsAreNotKeptWhereNothingIsLimited: nobody needs to know who they are.
func TestClientsAreNotKeptWhereNothingIsLimited(t *testing.T) {
	for _, tt := range []struct {
		numbers, countries int
		want               int
	}{{-1, -1, 0}, {1, -1, 1}, {-1, 1, 1}} {
		f := newFixture(t, func(c *Config) { c.NumbersPerClient, c.CountriesPerClient = tt.numbers, tt.countries })
		f.reserve(to(gb(1), "GB", from("192.0.2.1")))
		n := 0
		for key := range f.entries() {
			if key[:2] == kindClient.Key("") {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("limits %d and %d: %d clients are kept, want %d", tt.numbers, tt.countries, n, tt.want)
		}
	}
}
