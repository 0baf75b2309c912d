// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// conforms is the limit by its meaning: any stretch of time that ends now, and
// began with a request that was let through, holds no more requests than Burst
// and what was refilled in it.
func conforms(l Limit, passed []time.Time, now time.Time) bool {
	interval := l.Per / time.Duration(l.Burst)
	for i, start := range passed {
		held := int64(len(passed)-i+1) * int64(interval)
		if time.Duration(held) > l.Per+now.Sub(start) {
			return false
		}
	}
	return true
}

// TestF21_LimitModel compares the one timestamp with the list of all requests.
func TestF21_LimitModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Burst: rapid.IntRange(1, 12).Draw(t, "burst"),
			Per:   time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second,
		}
		interval := l.Per / time.Duration(l.Burst)
		now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
		var (
			tat    time.Time
			passed []time.Time
		)
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*interval)).Draw(t, "gap")))
			next, wait := l.hit(tat, now, 1, 0)
			if want := conforms(l, passed, now); (wait == 0) != want {
				t.Fatalf("after %d requests let through, wait %s, want let through: %v", len(passed), wait, want)
			}
			if wait == 0 {
				tat, passed = next, append(passed, now)
				continue
			}
			if wait < 0 || wait > l.Per {
				t.Fatalf("wait %s, want at most %s", wait, l.Per)
			}
			if conforms(l, passed, now.Add(wait-1)) || !conforms(l, passed, now.Add(wait)) {
				t.Fatalf("wait %s is not the shortest that suffices", wait)
			}
			if _, again := l.hit(next, now.Add(wait), 1, 0); again != 0 {
				t.Fatalf("after waiting %s one must wait another %s", wait, again)
			}
		}
	})
}
