// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// keeps reports whether there is an entry of a kind.
func (f *fixture) keeps(kind *sealed.Kind) bool {
	f.Helper()
	for key := range f.entries() {
		if key[:2] == kind.Key("") {
			return true
		}
	}
	return false
}

// TestNothingIsKeptLongerThanItCounts, to the nanosecond; a pause for a day longer,
// so that its end is noticed.
func TestNothingIsKeptLongerThanItCounts(t *testing.T) {
	window := (Conversion{Window: time.Hour}).span()
	for name, tt := range map[string]struct {
		kind  *sealed.Kind
		flood int
		life  time.Duration
	}{
		"a number":        {kindNumber, 0, day},
		"a client":        {kindClient, 0, day},
		"a network":       {kindNetwork, 0, untilGone(began, daySpan)},
		"a sum":           {kindCounter, 0, untilGone(began, daySpan)},
		"a statistic":     {kindPrefix, 0, untilGone(began, window)},
		"a paused prefix": {kindPrefix, 12, 2*time.Hour + day},
	} {
		f := newFixture(t, breaking, func(c *Config) { c.NumbersPerClient = 5 })
		f.flood(tt.flood)
		if tt.flood > 0 {
			f.refused(to(gb(100), "GB"), WhyPrefixPaused, 2*time.Hour)
		} else {
			f.reserve(to(gb(1), "GB", from("192.0.2.1")))
		}
		f.clock.Advance(tt.life - 1)
		if !f.keeps(tt.kind) {
			t.Errorf("%s is not kept for %s", name, tt.life)
		}
		f.clock.Advance(1)
		if f.keeps(tt.kind) {
			t.Errorf("%s is kept for more than %s", name, tt.life)
		}
	}
}

// TestClientsHaveBoundedRecords: of more numbers than there is room for, the oldest
// are forgotten, but not the newest of a country.
func TestClientsHaveBoundedRecords(t *testing.T) {
	var c clientRecord
	at := func(i int) time.Time { return began.Add(time.Duration(i) * time.Second) }
	c.add([]string{"french"}, "FR", at(0))
	for i := range maxUses + 4 {
		c.add([]string{fmt.Sprint(i)}, "GB", at(i))
		if want := min(i+2, maxUses); len(c.Uses) != want {
			t.Fatalf("%d numbers are kept, want %d", len(c.Uses), want)
		}
	}
	for name, want := range map[string]bool{"french": true, "0": false, "4": false, "5": true, fmt.Sprint(maxUses + 3): true} {
		if got := c.find([]string{name}) >= 0; got != want {
			t.Errorf("%s is kept: %v, want %v", name, got, want)
		}
	}
}

// TestWindowsAreDivided into no more buckets than fit a record, of a second at the
// least, and never cover less than they should.
func TestWindowsAreDivided(t *testing.T) {
	for window, want := range map[time.Duration]span{
		10 * time.Minute:   {time.Second, 600},
		10*time.Minute + 1: {time.Second, 601},
		24 * time.Minute:   {time.Second, 1440},
		6 * time.Hour:      {15 * time.Second, 1440},
		7 * day:            {7 * time.Minute, 1440},
	} {
		if got := (Conversion{Window: window}).span(); got != want {
			t.Errorf("%s: got %+v, want %+v", window, got, want)
		}
	}
}

// TestCodesThatComeBackLate are shown, although those that were sent are forgotten.
func TestCodesThatComeBackLate(t *testing.T) {
	f := newFixture(t, breaking)
	f.verify(1)
	if got := fmt.Sprint(f.status().Prefixes); got != "[{+4479110… GB 0 1}]" {
		t.Errorf("got %s", got)
	}
}

// TestAnswersOfAClosedStore are its error, and nothing.
func TestAnswersOfAClosedStore(t *testing.T) {
	f := newFixture(t, breaking)
	if err := f.cfg.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() (any, error){
		"Forget":  func() (any, error) { return f.Forget(bg, gb(1)) },
		"Resume":  func() (any, error) { return f.Resume(bg, "") },
		"Status":  func() (any, error) { return f.Status(bg) },
		"Ask":     func() (any, error) { return f.Ask(bg, to(gb(1), "GB")) },
		"Reserve": func() (any, error) { return f.Reserve(bg, to(gb(1), "GB")) },
	} {
		if got, err := ask(); !reflect.ValueOf(got).IsZero() || !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, store.ErrClosed)
		}
	}
}
