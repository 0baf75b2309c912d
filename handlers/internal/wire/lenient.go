// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Lenient is how the most lenient reader spells a key. It ignores case, in each
// of the ways in which that is done: encoding/json takes ſ (U+017F) for s and
// the sign of Kelvin (U+212A) for k, Java's equalsIgnoreCase takes ı for i, full
// case folding takes ß for ss. It knows compatibility forms (NFKC: full-width
// letters, ligatures), looks at no accents and at nothing that cannot be seen,
// and ends a text at NUL, as C does.
//
// Two keys that are the same to it are the same to anybody, so it errs on the
// side of refusing.
func Lenient(key string) string {
	if plain, ok := plainKey(key); ok {
		return plain
	}
	key, _, _ = strings.Cut(key, "\x00")
	key = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKD.String(key))
	// Upper case first: some letters (ı) are folded by that way only.
	key = cases.Fold().String(strings.ToUpper(key))
	return norm.NFKD.String(key)
}

// plainKey is lenient for the keys that all requests have: printable ASCII.
func plainKey(key string) (string, bool) {
	for i := range len(key) {
		if c := key[i]; c < ' ' || c >= utf8.RuneSelf-1 {
			return "", false
		}
	}
	return strings.ToLower(key), true // the same text if there is no upper case
}

// MaySay reports whether a text may have a word in it, for the most lenient reader.
// It is to be cheap: most texts have not, and need not be decoded.
func MaySay(raw []byte, word string) bool {
	first := word[0]
	for i, c := range raw {
		switch {
		case c >= 0x80, c == 0, c == '\\' && i+1 < len(raw) && raw[i+1] == 'u':
			return true
		case c|0x20 == first && len(raw)-i >= len(word) && strings.EqualFold(string(raw[i:i+len(word)]), word):
			return true
		}
	}
	return false
}
