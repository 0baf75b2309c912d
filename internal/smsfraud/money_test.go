// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	good := map[string]struct {
		want Money
		text string
	}{
		"0":             {0, "0"},
		"0.045":         {45_000, "0.045"},
		"0.000001":      {1, "0.000001"},
		"12":            {12_000_000, "12"},
		"12.30":         {12_300_000, "12.3"},
		"007.5":         {7_500_000, "7.5"},
		"9223372036853": {9_223_372_036_853_000_000, "9223372036853"},
	}
	for text, tt := range good {
		got, err := ParseMoney(text)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("ParseMoney(%q) = %d, %v, written %s; want %d, %s", text, got, err, got, tt.want, tt.text)
		}
	}
	for _, text := range []string{
		"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.0000001", "1.2.3", " 1", "1 ", "€1", "٣", "0x1",
		"9223372036854", "99999999999999999999", "NaN", "1.-5",
	} {
		if got, err := ParseMoney(text); err == nil || got != 0 {
			t.Errorf("ParseMoney(%q) = %s, %v, want nothing, and an error", text, got, err)
		}
	}
}

func TestMoneyIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Range(0, 9_223_372_036_853_999_999).Draw(t, "money"))
		if got, err := ParseMoney(m.String()); err != nil || got != m {
			t.Fatalf("ParseMoney(%q) = %d, %v, want %d", m, got, err, m)
		}
	})
	for m, want := range map[Money]string{-1: "-0.000001", math.MinInt64: "-9223372036854.775808", -2_500_000: "-2.5"} {
		if got := m.String(); got != want {
			t.Errorf("String of %d is %s, want %s", int64(m), got, want)
		}
	}
}

func TestPlusStopsAtTheTop(t *testing.T) {
	for _, tt := range [][3]int64{{1, 2, 3}, {math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64 - 1, 1, math.MaxInt64}} {
		if got := plus(tt[0], tt[1]); got != tt[2] {
			t.Errorf("plus(%d, %d) = %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
}
