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
	for r := rune(0); r <= unicode.MaxRune; r++ {
		s := string(r)
		once := fold(s)
		if again := fold(once); again != once {
			t.Errorf("fold(%U) = %q, and that folds to %q", r, once, again)
		}
		// One step, as the Turkish dotted I has no upper case to come back from.
		if upper := strings.ToUpper(s); strings.ToLower(upper) == s && fold(upper) != once {
			t.Errorf("fold(%U) = %q, but its capital folds to %q", r, once, fold(upper))
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
