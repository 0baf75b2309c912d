// SPDX-License-Identifier: Apache-2.0

package twosample

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func durations(values ...time.Duration) []time.Duration { return values }

// TestKnownValues against the formulas, worked out by hand.
func TestKnownValues(t *testing.T) {
	a := durations(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	b := durations(6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	got := Compare(a, b)
	// U = 12.5; z = 37 / sqrt(100/12*(21-30/380)).
	if math.Abs(got.U-0.00507) > 0.0002 || got.Effect != 0.125 || got.Medians != [2]time.Duration{5, 10} {
		t.Errorf("got %+v, want p = 0.00507 and effect 0.125", got)
	}
	// D = 0.5, sqrt(5) = 2.236: x = 1.2026.
	if math.Abs(got.KS-0.111) > 0.001 {
		t.Errorf("got KS %v, want 0.111", got.KS)
	}
	if back := Compare(b, a); back.U != got.U || back.KS != got.KS || back.Effect != 1-got.Effect {
		t.Errorf("got %+v and %+v, want the same with the samples exchanged", got, back)
	}
	if same := Compare(durations(4, 4, 4), durations(4, 4)); same.U != 1 || same.KS != 1 || same.Effect != 0.5 {
		t.Errorf("got %+v for equal values, want no difference", same)
	}
	if !strings.Contains(got.String(), "effect 0.125") {
		t.Errorf("got %q", got)
	}
}

// TestErrorRate: of pairs of samples of one distribution as many are taken for
// different as the p-value says, and those that differ by little are found.
func TestErrorRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(shift float64) []time.Duration {
		values := make([]time.Duration, 500)
		for i := range values {
			values[i] = time.Duration((random.ExpFloat64() + shift) * 1e6)
		}
		return values
	}
	const trials = 1000
	var wrong, wrongKS, found int
	for range trials {
		r := Compare(draw(0), draw(0))
		if r.U < 0.05 {
			wrong++
		}
		if r.KS < 0.05 {
			wrongKS++
		}
		if Compare(draw(0), draw(0.2)).U < 0.05 {
			found++
		}
	}
	if wrong < 25 || wrong > 75 || wrongKS < 20 || wrongKS > 75 {
		t.Errorf("%d and %d of %d pairs of one distribution were taken for different, want about 50", wrong, wrongKS, trials)
	}
	if found < trials*95/100 {
		t.Errorf("%d of %d differences were found", found, trials)
	}
}
