// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestHeatFades(t *testing.T) {
	h := NewHeat()
	for range 8 {
		h.Add("a", noon)
	}
	for i, want := range []float64{8, 4, 2, 1, .5} {
		at := noon.Add(time.Duration(i) * fade)
		if got := h.Of("a", at); math.Abs(got-want) > 1e-9 {
			t.Errorf("after %d times: got %v, want %v", i, got, want)
		}
	}
	if got := h.Of("another", noon.Add(4*fade)); got != 0 {
		t.Errorf("one that had nothing: got %v", got)
	}
	if got, want := h.Cools("a", 0.25, noon.Add(4*fade)), fade; got < want-time.Second || got > want+time.Second {
		t.Errorf("cools in %v, want %v", got, want)
	}
	if got := h.Cools("a", 0.5, noon.Add(5*fade)); got != 0 {
		t.Errorf("cools in %v, want at once", got)
	}
}

// TestRefusalsHeatForAnHourAtMost: however often somebody hammers.
func TestRefusalsHeatForAnHourAtMost(t *testing.T) {
	h := NewHeat()
	for range 100_000 {
		h.Refused("a", noon)
	}
	if got := h.Of("a", noon); got < hottest-1e-9 || got > hottest+1e-9 {
		t.Errorf("got %v, want %v", got, hottest)
	}
	if got := h.Cools("a", 1, noon); got > time.Hour+time.Minute {
		t.Errorf("cools in %v, want within an hour", got)
	}
}

// TestClockSetBackCoolsAll: nobody is hot for as long as the clock was wrong.
func TestClockSetBackCoolsAll(t *testing.T) {
	h := NewHeat()
	h.Add("a", noon)
	if got := h.Of("a", noon.Add(-24*time.Hour)); got != 0 {
		t.Errorf("got %v, want nothing", got)
	}
	if got := h.Of("a", noon.Add(10_000*time.Hour)); got != 0 {
		t.Errorf("after a year: got %v, want nothing", got)
	}
}

// TestHeatModel: it is never less than what there was, and hardly ever more.
func TestHeatModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, model, now := NewHeat(), map[Network]float64{}, noon
		more := 0
		for range rapid.IntRange(1, 400).Draw(t, "n") {
			gap := rapid.Int64Range(0, int64(2*fade)).Draw(t, "gap")
			now = now.Add(time.Duration(gap))
			for n := range model {
				model[n] *= math.Exp2(-float64(gap) / float64(fade))
			}
			n := Network(fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "network")))
			h.Add(n, now)
			model[n]++
		}
		for n, want := range model {
			got := h.Of(n, now)
			if got < want*(1-1e-9) {
				t.Fatalf("%s: got %v, want at least %v", n, got, want)
			}
			if got > want*(1+1e-6)+1e-9 {
				more++
			}
		}
		if more > 1 {
			t.Fatalf("%d of %d have too much", more, len(model))
		}
	})
}

// TestOneNetworkHeatsNoOther, however many addresses it has.
func TestOneNetworkHeatsNoOther(t *testing.T) {
	h := NewHeat()
	for i := range 200_000 {
		client := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)})
		h.Refused(Wide(client), noon)
	}
	hot := 0
	for i := range 1000 {
		if h.Of(Network(fmt.Sprint("10.0.", i, ".0/24")), noon) > 0 {
			hot++
		}
	}
	if hot > 10 {
		t.Errorf("%d of 1000 others are hot", hot)
	}
}
