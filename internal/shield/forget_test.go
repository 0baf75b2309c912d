// SPDX-License-Identifier: Apache-2.0

package shield

import (
	"slices"
	"testing"
	"time"
)

// tracesOf counts the entries that name a number, by whichever of its names.
func (f *fixture) tracesOf(s *Shield, digits string) (n int) {
	f.Helper()
	number := s.numberNames(digits)
	for key, value := range f.entries() {
		var c clientRecord
		if key[:2] == kindClient {
			if err := s.codec.open(key, []byte(value), &c); err != nil {
				f.Fatalf("open a client: %v", err)
			}
		}
		if key[:2] == kindNumber && slices.Contains(number, key[2:]) || c.find(number) >= 0 {
			n++
		}
	}
	return n
}

// TestForgetANumber: it cannot be found any more, by none of its names, and that is
// all that is different: other numbers, sums, and how near the clients are to their
// limits.
func TestForgetANumber(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerNumber, c.NumbersPerClient = 2, 2
		c.Budgets = []Budget{{Scope: "total", Limit: 1000}}
	})
	me, other := from("192.0.2.1"), from("192.0.2.2")
	f.reserve(to(gb(1), "GB", me))
	f.reserve(to(gb(2), "GB", me))
	f.Shield = f.another(func(c *Config) { c.Keys = ring(t, 'n', 'k') })
	f.reserve(to(gb(1), "GB", other)) // under a new key
	f.refused(to(gb(1), "GB", other), WhyNumber, 24*time.Hour)
	spent := f.status().Budgets[0].Used
	of, kept := f.tracesOf(f.Shield, gb(1)), f.tracesOf(f.Shield, gb(2))
	if of < 3 || kept < 2 {
		t.Fatalf("got %d and %d traces, want those of the number and of two clients: the search finds nothing", of, kept)
	}
	for _, want := range []int{of, 0} {
		if got, err := f.Forget(bg, gb(1)); got != want || err != nil {
			t.Errorf("Forget = %d, %v, want %d", got, err, want)
		}
		if left := f.tracesOf(f.Shield, gb(1)); left != 0 {
			t.Errorf("%d entries still name the number", left)
		}
	}
	if got := f.tracesOf(f.Shield, gb(2)); got != kept {
		t.Errorf("got %d traces of another number, want %d", got, kept)
	}
	if got := f.status().Budgets[0].Used; got != spent {
		t.Errorf("got %d used, want %d", got, spent)
	}
	f.refused(to(gb(1), "GB", me), WhyClientNumbers, 24*time.Hour) // it is one more to who had reached it
	f.reserve(to(gb(1), "GB", other))
}
