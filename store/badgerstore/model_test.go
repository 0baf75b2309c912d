// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// step is one operation in a transaction.
type step struct {
	op    string
	key   string
	value []byte
	// ttl is relative to the clock at the time of the transaction.
	ttl time.Duration
}

var errAbort = errors.New("abort")

// The keys and partitions are few, so that steps meet, and hostile.
var (
	genKey       = rapid.SampledFrom([]string{"a", "aa", "a/", "/a", "b", "\x00", "\xff"})
	genPartition = rapid.SampledFrom([]string{"a", "aa", "a-", "b"})
	// A multiple of the unit in which the store rounds expiries.
	genTTL = rapid.Custom(func(t *rapid.T) time.Duration {
		return expiryUnit * time.Duration(rapid.IntRange(-200, 20000).Draw(t, "units"))
	})
	genStep = rapid.Custom(func(t *rapid.T) step {
		return step{
			op:    rapid.SampledFrom([]string{"get", "set", "set", "set forever", "delete"}).Draw(t, "op"),
			key:   genKey.Draw(t, "key"),
			value: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value"),
			ttl:   genTTL.Draw(t, "ttl"),
		}
	})
)

// apply runs steps in one transaction and returns what they answered.
func apply(s store.Store, p store.Partition, now time.Time, steps []step, abort bool) []string {
	var answers []string
	note := func(format string, args ...any) { answers = append(answers, fmt.Sprintf(format, args...)) }
	err := s.Update(context.Background(), p, func(tx store.Txn) error {
		answers = answers[:0]
		for _, st := range steps {
			switch st.op {
			case "get":
				value, err := tx.Get(st.key)
				note("get %q: %q, %v", st.key, value, err)
			case "set":
				note("set %q: %v", st.key, tx.Set(st.key, st.value, now.Add(st.ttl)))
			case "set forever":
				note("set %q: %v", st.key, tx.Set(st.key, st.value, time.Time{}))
			case "delete":
				note("delete %q: %v", st.key, tx.Delete(st.key))
			}
		}
		if abort {
			return errAbort
		}
		return nil
	})
	note("update: %v", err)
	return answers
}

// contents returns all that a partition shows, by View and by Scan.
func contents(s store.Store, p store.Partition, prefix string) []string {
	var found []string
	err := s.Scan(context.Background(), p, prefix, func(key string, value []byte) (bool, error) {
		viewed, err := lookup(s, p, key)
		found = append(found, fmt.Sprintf("%q: %q, viewed %q, %v", key, value, viewed, err))
		return true, nil
	})
	return append(found, fmt.Sprintf("scan: %v", err))
}

// TestBehavesAsModel runs random transactions on the store and on the one in
// memory, and compares every answer.
func TestBehavesAsModel(t *testing.T) {
	// On the boundary of the unit, where rounding changes nothing.
	clock := storetest.NewClock(time.Now().Truncate(expiryUnit))
	s := openTest(t, Options{Clock: clock.Now})
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++ // partitions of its own for every run, as opening takes long
		model := storetest.NewMemory(clock.Now)
		defer model.Close()
		partition := func() store.Partition {
			return store.Partition(fmt.Sprintf("%d-%s", run, genPartition.Draw(t, "partition")))
		}
		t.Repeat(map[string]func(*rapid.T){
			"update": func(t *rapid.T) {
				p, now := partition(), clock.Now()
				steps := rapid.SliceOfN(genStep, 1, 8).Draw(t, "steps")
				abort := rapid.IntRange(0, 3).Draw(t, "abort") == 0
				got, want := apply(s, p, now, steps, abort), apply(model, p, now, steps, abort)
				if !slices.Equal(got, want) {
					t.Fatalf("Update(%q) answered\n%q, want\n%q", p, got, want)
				}
			},
			"scan": func(t *rapid.T) {
				p, prefix := partition(), rapid.SampledFrom([]string{"", "a", "a/", "\xff"}).Draw(t, "prefix")
				if got, want := contents(s, p, prefix), contents(model, p, prefix); !slices.Equal(got, want) {
					t.Fatalf("Scan(%q, %q) found\n%q, want\n%q", p, prefix, got, want)
				}
			},
			"wait": func(t *rapid.T) {
				clock.Advance(expiryUnit * time.Duration(rapid.IntRange(1, 5000).Draw(t, "units")))
			},
		})
	})
}
