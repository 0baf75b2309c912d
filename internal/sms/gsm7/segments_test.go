// SPDX-License-Identifier: Apache-2.0

package gsm7

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOf(t *testing.T) {
	tests := []struct {
		name, text string
		want       Count
	}{
		{"nothing", "", Count{}},
		{"one", "a", Count{1, false}},
		{"160 septets", strings.Repeat("a", 160), Count{1, false}},
		{"161 septets", strings.Repeat("a", 161), Count{2, false}},
		{"306 septets", strings.Repeat("a", 306), Count{2, false}},
		{"307 septets", strings.Repeat("a", 307), Count{3, false}},
		{"a euro takes two places", strings.Repeat("a", 158) + "€", Count{1, false}},
		{"159 and a euro", strings.Repeat("a", 159) + "€", Count{2, false}},
		// 152 places, then one that needs two: it goes to the next segment.
		{"an escape is not split", strings.Repeat("a", 152) + "€" + strings.Repeat("b", 152), Count{3, false}},
		{"German fits", "Bestätigungscode für Öl & Äpfel: 123456 ß", Count{1, false}},
		{"ç does not, although Ç does", "façade", Count{1, true}},
		{"the grave accent does not", "`", Count{1, true}},
		{"70 units", strings.Repeat("ж", 70), Count{1, true}},
		{"71 units", strings.Repeat("ж", 71), Count{2, true}},
		{"134 units", strings.Repeat("ж", 134), Count{2, true}},
		{"135 units", strings.Repeat("ж", 135), Count{3, true}},
		{"35 pairs", strings.Repeat("😀", 35), Count{1, true}},
		{"36 pairs", strings.Repeat("😀", 36), Count{2, true}},
		// 66 units, then a pair: it goes to the next segment.
		{"a pair is not split", strings.Repeat("ж", 66) + "😀" + strings.Repeat("ж", 66), Count{3, true}},
		{"invalid UTF-8 counts as a character", "\xff", Count{1, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(tt.text); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestAlphabet: the default alphabet has 128 places, of which one is the
// escape; the extension table has ten characters (TS 23.038 §6.2.1).
func TestAlphabet(t *testing.T) {
	if got := utf8.RuneCountInString(basic); got != 127 {
		t.Errorf("the basic alphabet has %d characters, want 127", got)
	}
	if got := utf8.RuneCountInString(extension); got != 10 {
		t.Errorf("the extension has %d characters, want 10", got)
	}
	seen := map[rune]bool{}
	for _, r := range basic + extension {
		if seen[r] {
			t.Errorf("%q stands in it twice", r)
		}
		seen[r] = true
	}
}
