// SPDX-License-Identifier: Apache-2.0

package input

import (
	"strings"
	"unicode"
)

// maxNumber bounds how much of a number can be seen: 15 digits (E.164 §6.1), a
// prefix to dial out of a country with, a carrier's code, and a separator after
// every other one of them.
const maxNumber = 40

// Number is what was typed as a phone number, as it would be dialled: its digits,
// with a plus before them if one is written there. Anything else than digits of a
// script and what people put between them is not ok; nor is what the library that
// knows phone numbers would make sense of or drop in silence: letters, extensions
// (x, #, ~, "ext."), pauses, the parameters of a link. Each was meant by somebody,
// and two people mean different numbers by it.
func Number(s string) (dialled string, ok bool) {
	s = unwrap(s, func(s string) string { return unquote(unlink(s, tel)) })
	if len(s) > maxInput {
		return "", false
	}
	var b strings.Builder
	seen, digits := 0, 0
	for _, r := range s {
		if unseen(r) {
			continue
		}
		if seen++; seen > maxNumber {
			return "", false
		}
		if value, ok := digit(r); ok {
			b.WriteByte(value)
			digits++
		} else if (r == '+' || r == '＋') && b.Len() == 0 {
			b.WriteByte('+')
		} else if !separates(r) {
			return "", false
		}
	}
	return b.String(), digits > 0
}

// NumberOrWord is for what names a number, or the beginning of one, with its plus,
// or else something else, like a country: the number as it would be dialled, or
// the word without what is around it.
func NumberOrWord(s string) string {
	if dialled, ok := Number(s); ok && strings.HasPrefix(dialled, "+") {
		return dialled
	}
	return Trim(s)
}

// separates reports what people put between digits: blanks, dashes, dots, slashes
// and brackets of every script. A line end is between two things, and some quotes
// look like a comma, which is a pause.
func separates(r rune) bool {
	if r <= unicode.MaxASCII {
		return strings.ContainsRune(" \t-.()[]{}/", r)
	}
	switch {
	case strings.ContainsRune("\u0085\u2028\u2029\u201a\u201e", r):
		return false
	case strings.ContainsRune(moreDashes+moreDots+moreSlashes, r):
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe)
}

// What Unicode does not call a dash, and what it has no class for. The library
// takes the sign for a long sound, ー, for a dash as Japanese keyboards have it
// beside the digits; tildes that are operators or punctuation are dashes to it,
// while ~ and ～ begin an extension.
const (
	moreDashes  = "\u2212\u02d7\u2043\u30fc\uff70\u2053\u223c"
	moreDots    = "\u00b7\u2022\u2024\u2027\u30fb\uff65\uff0e"
	moreSlashes = "\u2044\u2215\uff0f"
)
