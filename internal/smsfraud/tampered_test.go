// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// recordVersion is the first byte of every record.
const recordVersion = 1

// set changes the raw store.
func (f *fixture) set(key string, value []byte) {
	f.Helper()
	err := f.cfg.Store.Update(bg, partition, func(txn store.Txn) error { return txn.Set(key, value, began.Add(day)) })
	if err != nil {
		f.Fatalf("Set: %v", err)
	}
}

// TestRecordsThatCannotBeRead: what an entry has counted is not known then, so that
// nothing is sent that would be counted in it, and nothing is stored. The operator
// is shown the rest.
func TestRecordsThatCannotBeRead(t *testing.T) {
	number := to(gb(1), "GB", from("192.0.2.1"))
	setUp := func() *fixture {
		f := newFixture(t, func(c *Config) {
			c.NumbersPerClient, c.Conversion = 10, Conversion{}
			c.Budgets = []Budget{{Scope: "total", Limit: 5, Per: Day}}
		})
		f.reserve(number)
		f.reserve(to(fr(1), "FR"))
		return f
	}
	for what, spoil := range map[string]func(f *fixture, key, value string) []byte{
		"empty": func(*fixture, string, string) []byte { return nil },
		"changed": func(_ *fixture, _, value string) []byte {
			return append([]byte(value[:len(value)-1]), value[len(value)-1]^1)
		},
		"moved": func(f *fixture, key, value string) []byte { return f.keys.Seal(key+"x", f.opened(key, value)) },
		"without a plaintext": func(f *fixture, key, _ string) []byte {
			return f.keys.Seal(key, nil)
		},
		"of a later version": func(f *fixture, key, value string) []byte {
			return f.keys.Seal(key, append([]byte{recordVersion + 1}, f.opened(key, value)[1:]...))
		},
		"with a field that is not known": func(f *fixture, key, _ string) []byte {
			return f.keys.Seal(key, append([]byte{recordVersion}, encoded(t, map[int]int{99: 1})...))
		},
		"with a field more": func(f *fixture, key, value string) []byte {
			var fields map[int]any
			raw := f.opened(key, value)
			if err := cbor.Unmarshal(raw[1:], &fields); err != nil {
				f.Fatalf("decode: %v", err)
			}
			fields[99] = 1
			return f.keys.Seal(key, append([]byte{recordVersion}, encoded(t, fields)...))
		},
		"with a field twice": func(f *fixture, key, _ string) []byte {
			return f.keys.Seal(key, []byte{recordVersion, 0xa2, 1, 0xf6, 1, 0xf6})
		},
		"of a length that is not told": func(f *fixture, key, _ string) []byte {
			return f.keys.Seal(key, []byte{recordVersion, 0xbf, 0xff})
		},
	} {
		names := setUp().entries()
		for key := range names {
			f := setUp()
			before := f.entries()
			f.set(key, spoil(f, key, before[key]))
			before, seen := f.entries(), len(f.watcher.seen)
			mine := false
			for _, name := range f.namesOf(number) {
				mine = mine || name == key
			}
			_, err := f.Reserve(bg, number)
			if errors.Is(err, errRecord) != mine || mine && (len(f.watcher.seen) != seen || !maps.Equal(before, f.entries())) {
				t.Errorf("an entry of kind %s, %s: Reserve = %v, and %v", key[:2], what, err, f.watcher.seen)
			}
			total := f.namesOf(number)[3] // two were counted, and a third if it can be read
			if st := f.status(); len(st.Budgets) != 1 || len(st.Prefixes) < 1 || key == total && st.Budgets[0].Used != 0 {
				t.Errorf("an entry of kind %s, %s: the status is %+v", key[:2], what, st)
			}
			if _, err := f.Resume(bg, ""); err != nil {
				t.Errorf("an entry of kind %s, %s: Resume = %v", key[:2], what, err)
			}
		}
	}
}

// opened is what an entry holds, with its version.
func (f *fixture) opened(key, value string) []byte {
	f.Helper()
	raw, err := f.keys.Open(key, []byte(value))
	if err != nil {
		f.Fatalf("open %s: %v", key[:2], err)
	}
	return raw
}

func encoded(t tb, v any) []byte {
	t.Helper()
	raw, err := cbor.Marshal(v)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return raw
}

// namesOf are the entries that a message is counted in.
func (f *fixture) namesOf(r Request) []string {
	list := []string{
		kindNumber.Key(numberNames(f.keys, r.Digits)[0]),
		kindClient.Key(f.keys.HashText("shield client", string(ratelimit.Narrow(r.Client)))),
		kindPrefix.Key(f.keys.HashText("shield prefix", prefixOf(r.Digits, f.prefixDigits))),
	}
	for _, sc := range []scope{{kind: ofTotal}, {ofCountry, r.Region}, {ofPrefix, prefixOf(r.Digits, f.prefixDigits)}} {
		list = append(list, kindCounter.Key(f.keys.HashText("shield counter", string(sc.kind), sc.of)))
	}
	return append(list, kindNetwork.Key(f.networkNames(r.Client)[0]))
}

// TestAnotherKeyKeepsAllLimits: what was counted under the name of an older key
// counts, and moves to its new name when it is counted in again.
func TestAnotherKeyKeepsAllLimits(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerNumber, c.NumbersPerClient, c.CountriesPerClient = 3, 2, 1
		c.Budgets, c.Conversion = []Budget{{Scope: "total", Limit: 10, Per: Day}, {Scope: "+4479", Limit: 4, Per: Day}}, Conversion{}
	})
	me := from("192.0.2.1")
	for n, fills := range [][]byte{{'k'}, {'n', 'k'}, {'n', 'k'}} {
		f.Shield = f.another(func(c *Config) { c.Keys = ring(t, fills...) })
		f.reserve(to(gb(1), "GB", me))
		if got := f.entries(); len(got) != len(f.namesOf(to(gb(1), "GB", me)))+1 {
			t.Errorf("message %d: %d entries: %v", n+1, len(got), f.plain())
		}
		for _, name := range f.namesOf(to(gb(1), "GB", me)) {
			if f.entries()[name] == "" {
				t.Errorf("message %d is not counted under the key in use in %s", n+1, name[:2])
			}
		}
	}
	f.refused(to(gb(1), "GB"), WhyNumber, day)
	f.refused(to(fr(1), "FR", me), WhyClientCountries, day)
	f.reserve(to(gb(2), "GB", me))
	f.refused(to(gb(3), "GB"), WhyBudget, untilGone(began, daySpan)) // the fifth of +4479
	f.refused(to("447400000000", "GB", me), WhyClientNumbers, day)
	if got := fmt.Sprint(f.status().Prefixes); got != "[{+4479110… GB 4 0}]" {
		t.Errorf("got %s", got)
	}
}

// TestARefusalWritesNothing: nobody can fill the store, or keep it busy, by asking
// for what is refused.
func TestARefusalWritesNothing(t *testing.T) {
	f := newFixture(t, breaking, func(c *Config) {
		c.PerNumber, c.NumbersPerClient, c.CountriesPerClient = 2, 2, 1
		c.Backoff, c.Deny = []time.Duration{time.Minute, time.Minute}, []string{"DE"}
		c.Budgets = []Budget{{Scope: "CA", Limit: 1, Per: Day}}
	})
	me := from("192.0.2.1")
	f.flood(11)
	f.reserve(to(gb(20), "GB", me))
	f.refused(to(gb(20), "GB", me), WhyPrefixPaused, 2*time.Hour) // begins, which is stored
	f.reserve(to("447400000001", "GB", me))
	f.reserve(to("14165550100", "CA"))
	before := f.entries()
	for _, tt := range []struct {
		r     Request
		why   Why
		after time.Duration
	}{
		{to(gb(21), "GB"), WhyPrefixPaused, 2 * time.Hour},
		{to("447400000001", "GB"), WhyBackoff, time.Minute},
		{to("447400000002", "GB", me), WhyClientNumbers, day},
		{to("14165550101", "CA"), WhyBudget, untilGone(began, daySpan)},
		{to("491511234567", "DE"), WhyCountry, 0},
	} {
		f.refused(tt.r, tt.why, tt.after)
		if !maps.Equal(before, f.entries()) {
			t.Errorf("a refusal for %s has changed what is stored", tt.why)
		}
	}
	wantRefusal(t, f.Charge(bg, to("14165550100", "CA")), WhyBudget, untilGone(began, daySpan))
	if !maps.Equal(before, f.entries()) {
		t.Error("a refusal to charge has changed what is stored")
	}
}
