// SPDX-License-Identifier: Apache-2.0

package address

import (
	"strings"
	"testing"
	"unicode"
)

// TestF19_FoldingIsFinal: what is folded must fold to itself, for every
// character there is, and so must the two cases of a letter to one. A folding
// that swaps two letters passes neither.
func TestF19_FoldingIsFinal(t *testing.T) {
	const plane = 1 << 16
	for first := rune(0); first <= unicode.MaxRune; first += plane {
		var all strings.Builder // at once, as folding has no context
		for r := first; r < first+plane; r++ {
			all.WriteRune(r)
			// One step, as the Turkish dotted I has no upper case to come back from.
			s := string(r)
			if upper := strings.ToUpper(s); upper != s && strings.ToLower(upper) == s && fold(upper) != fold(s) {
				t.Errorf("fold(%U) = %q, but its capital folds to %q", r, fold(s), fold(upper))
			}
		}
		once := fold(all.String())
		if again := fold(once); again == once {
			continue
		}
		for _, r := range once {
			if got := fold(string(r)); got != string(r) {
				t.Errorf("%U is what something folds to, and folds to %q", r, got)
			}
		}
	}
}

// TestF19_FoldingHasNoContext: folding a text is folding its characters.
func TestF19_FoldingHasNoContext(t *testing.T) {
	for _, s := range []string{"STRAẞE", "ΣΊΣΥΦΟΣ", "\u13a0ΣΑΣ\u13f5", "ﬃŉ\u13a0İ"} {
		var want strings.Builder
		for _, r := range s {
			want.WriteString(fold(string(r)))
		}
		if got := fold(s); got != want.String() {
			t.Errorf("fold(%q) = %q, want %q", s, got, want.String())
		}
	}
}

// TestF19_DomainAloneIsCanonical: a rule's domain and an address's must come
// out the same, so they go the same way.
func TestF19_DomainAloneIsCanonical(t *testing.T) {
	for typed, want := range map[string]string{
		"EXAMPLE.org": "example.org", "Bücher.example": "xn--bcher-kva.example", "exa\u00admple.org": "", "\u00adexample.org": "", "example.org.": "",
		"ex\xffample.org": "", "": "", "a@b": "", "１２７.１": "", "ｅxample\u3002org": "example.org", strings.Repeat("d", 2000): "",
	} {
		got, err := Domain(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Domain(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
}
