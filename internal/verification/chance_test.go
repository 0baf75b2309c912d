// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"math"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// Sydent 1.0.3: sids that count, and tokens that can be foreseen. A hundred
// thousand of them, from the real source: none comes twice, and every character
// is as frequent as any other, by a chi-square test at every place. The bound is
// seven standard deviations from the mean: a run in a hundred million is wrong.
func TestAdvisory02_SIDsAndTokensAreRandom(t *testing.T) {
	const n, alphabet = 50_000, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	f := newFixture(t, func(c *Config) { c.Random = nil })
	makers := map[string]func() (string, error){
		"sid": func() (string, error) {
			sid, err := f.ids.sid(sealed.PartitionName(0))
			return string(sid[partitionSize : partitionSize+randomSize]), err
		},
		"token": func() (string, error) {
			token, err := f.ids.token(ProofLink)
			return string(token), err
		},
	}
	for what, next := range makers {
		seen := make(map[string]bool, n)
		var counts [][64]float64
		for range n {
			text, err := next()
			if err != nil {
				t.Fatal(err)
			}
			if seen[text] {
				t.Fatalf("%s %q was made twice", what, text)
			}
			seen[text] = true
			if counts == nil {
				counts = make([][64]float64, len(text)-1) // the last has fewer bits
			}
			for i := range counts {
				counts[i][strings.IndexByte(alphabet, text[i])]++
			}
		}
		const freedom = 63
		limit := freedom + 7*math.Sqrt(2*freedom)
		for place := range counts {
			chi := 0.0
			for _, got := range counts[place] {
				chi += (got - n/64.0) * (got - n/64.0) / (n / 64.0)
			}
			if chi > limit {
				t.Errorf("%s: place %d has chi-square %.0f over %d degrees of freedom, want at most %.0f", what, place, chi, freedom, limit)
			}
		}
	}
}

// Codes are short, so that they must be as many as they can be: every digit at
// every place, and no two draws that belong together.
func TestAdvisory02_CodesAreRandom(t *testing.T) {
	const n = 100_000
	f := newFixture(t, func(c *Config) { c.Random = nil })
	var digits [6][10]float64
	var pairs [5][100]float64
	for range n {
		code, err := f.ids.token(ProofCode)
		if err != nil || len(code) != 6 {
			t.Fatalf("got %q, %v, want six digits", code, err)
		}
		for i := range 6 {
			digits[i][code[i]-'0']++
			if i > 0 {
				pairs[i-1][(code[i-1]-'0')*10+code[i]-'0']++
			}
		}
	}
	check := func(what string, place int, counts []float64) {
		expected, freedom, chi := n/float64(len(counts)), float64(len(counts)-1), 0.0
		for _, got := range counts {
			chi += (got - expected) * (got - expected) / expected
		}
		if limit := freedom + 7*math.Sqrt(2*freedom); chi > limit {
			t.Errorf("%s: place %d has chi-square %.0f over %.0f degrees of freedom, want at most %.0f", what, place, chi, freedom, limit)
		}
	}
	for i := range digits {
		check("digits", i, digits[i][:])
	}
	for i := range pairs {
		check("pairs", i, pairs[i][:])
	}
}
