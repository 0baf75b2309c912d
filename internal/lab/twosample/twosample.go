// SPDX-License-Identifier: Apache-2.0

package twosample

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Result is what was found.
type Result struct {
	// U is the p-value of the test of Mann and Whitney: how likely it is that
	// the ranks of two samples of the same distribution differ as much.
	U float64
	// KS is that of the test of Kolmogorov and Smirnov, which sees differences
	// in shape, too.
	KS float64
	// Effect is how likely a value of the first sample is above one of the
	// second; 0.5 if nothing can be learnt from one value.
	Effect float64
	// Medians are those of the samples.
	Medians [2]time.Duration
}

// String is for a log.
func (r Result) String() string {
	return fmt.Sprintf("medians %s and %s, effect %.3f, p = %.3g (Mann-Whitney), %.3g (Kolmogorov-Smirnov)",
		r.Medians[0].Round(time.Microsecond), r.Medians[1].Round(time.Microsecond), r.Effect, r.U, r.KS)
}

// value is one of a sample.
type value struct {
	time.Duration
	first bool
}

// Compare compares two samples, which must not be empty. The p-values are those
// of large samples: 20 of each, say.
func Compare(a, b []time.Duration) Result {
	all := make([]value, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, value{d, true})
	}
	for _, d := range b {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.Duration, y.Duration) })
	n, m := float64(len(a)), float64(len(b))
	var ranks, ties, apart float64
	var below [2]float64
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].Duration == all[i].Duration {
			end++
		}
		same := float64(end - i)
		ties += same*same*same - same
		for _, v := range all[i:end] { // who is equal shares a rank
			if v.first {
				ranks += (float64(i+1) + float64(end)) / 2
				below[0]++
			} else {
				below[1]++
			}
		}
		apart = max(apart, math.Abs(below[0]/n-below[1]/m))
		i = end
	}
	u := ranks - n*(n+1)/2
	return Result{
		U: mannWhitney(u, n, m, ties), KS: kolmogorov(apart, n, m), Effect: u / (n * m),
		Medians: [2]time.Duration{median(a), median(b)},
	}
}

// mannWhitney approximates by the normal distribution, with a correction for
// ties and one for continuity.
func mannWhitney(u, n, m, ties float64) float64 {
	all := n + m
	deviation := math.Sqrt(n * m / 12 * (all + 1 - ties/(all*(all-1))))
	if deviation == 0 {
		return 1 // all values are the same
	}
	z := max(0, math.Abs(u-n*m/2)-0.5) / deviation
	return math.Erfc(z / math.Sqrt2)
}

// kolmogorov is the limiting distribution, with Stephens' correction for samples
// that are not very large.
func kolmogorov(apart, n, m float64) float64 {
	size := math.Sqrt(n * m / (n + m))
	x := (size + 0.12 + 0.11/size) * apart
	if x < 0.2 {
		return 1 // the series does not converge there
	}
	sum, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		sum += sign * math.Exp(-2*k*k*x*x)
		sign = -sign
	}
	return min(1, max(0, 2*sum))
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
