// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// plain decodes everything that is stored, without what has passed and without
// the ids of reservations.
func (f *fixture) plain() []string {
	f.Helper()
	var list []string
	for key, value := range f.entries() {
		var rec record
		var kind *sealed.Kind
		switch key[:2] {
		case kindNumber.Key(""):
			kind, rec = kindNumber, &numberRecord{}
		case kindClient.Key(""):
			kind, rec = kindClient, &clientRecord{}
		case kindPrefix.Key(""):
			kind, rec = kindPrefix, &prefixRecord{answers: f.answers()}
		case kindNetwork.Key(""):
			kind, rec = kindNetwork, &networkRecord{answers: f.answers()}
		case kindCounter.Key(""):
			kind, rec = kindCounter, &counter{}
		}
		if err := f.codec.open(kind, key, []byte(value), rec); err != nil {
			f.Fatalf("open %s: %v", key[:2], err)
		}
		rec.tidy(f.clock.Now())
		if n, ok := rec.(*numberRecord); ok {
			for i := range n.Sends {
				n.Sends[i].ID = 0
			}
		}
		if rec.expires().IsZero() {
			continue
		}
		list = append(list, fmt.Sprintf("%s %+v", key, rec))
	}
	slices.Sort(list)
	return list
}

// TestReleaseGivesEverythingBack: after a release the store says what it would
// say had the message never been asked for.
func TestReleaseGivesEverythingBack(t *testing.T) {
	unlimited := func(c *Config) {
		c.Conversion = Conversion{Sample: 1e6, NetworkSample: 1e6}
		c.NumbersPerClient = 1000
		c.Budgets = []Budget{{Scope: "+447", Limit: 1e6}}
		c.Prices = map[string]Money{"default": 3}
	}
	rapid.Check(t, func(t *rapid.T) {
		some, none := newFixture(t, unlimited), newFixture(t, unlimited)
		var taken []*Reservation
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			d := pick(t, "wait", 1, time.Second, 5*time.Minute, time.Hour)
			some.clock.Advance(d)
			none.clock.Advance(d)
			r := drawRequest(t)
			res := some.reserve(r)
			if rapid.Bool().Draw(t, "give back") {
				taken = append(taken, res)
			} else {
				none.reserve(r)
			}
		}
		for len(taken) > 0 {
			i := rapid.IntRange(0, len(taken)-1).Draw(t, "which")
			if err := some.Release(bg, taken[i]); err != nil {
				t.Fatalf("Release: %v", err)
			}
			taken = slices.Delete(taken, i, i+1)
		}
		got, want := strings.Join(some.plain(), "\n"), strings.Join(none.plain(), "\n")
		if got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestReleaseOfAllLeavesNothing(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Conversion, c.NumbersPerClient = Conversion{NetworkSample: 9}, 10 })
	var all []*Reservation
	for i := range 8 {
		all = append(all, f.reserve(to(gb(i%3), "GB", from("192.0.2.1"))))
		f.clock.Advance(20 * time.Minute)
	}
	if got := len(f.entries()); got != 3+1+3+1+1 { // numbers, client, counters, prefix, network
		t.Errorf("got %d entries, want 9", got)
	}
	for _, res := range all {
		for range 2 {
			if err := f.Release(bg, res); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := f.entries(); len(got) != 0 {
		t.Errorf("%d entries were left: %v", len(got), f.plain())
	}
	if err := f.Release(bg, nil); err != nil {
		t.Errorf("Release of nothing = %v", err)
	}
}

func TestReleasedTooLate(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Budgets = []Budget{{Scope: "total", Limit: 1, Per: Day}} })
	res := f.reserve(to(gb(1), "GB"))
	f.clock.Advance(26 * time.Hour)
	f.reserve(to(gb(1), "GB"))
	if err := f.Release(bg, res); err != nil {
		t.Fatal(err)
	}
	f.refused(to(gb(1), "GB"), WhyBudget, untilGone(f.clock.Now(), daySpan))
}

// TestReleaseAfterTheClockWasSetBack finds the message where it was brought to.
func TestReleaseAfterTheClockWasSetBack(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Conversion = Conversion{} })
	res := f.reserve(to(gb(1), "GB"))
	f.clock.Advance(-100 * time.Hour)
	if err := f.Release(bg, res); err != nil {
		t.Fatal(err)
	}
	if got := f.entries(); len(got) != 0 {
		t.Errorf("%d entries were left: %v", len(got), f.plain())
	}
}
