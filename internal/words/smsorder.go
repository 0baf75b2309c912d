// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"

	"golang.org/x/text/unicode/bidi"
)

// sparing is the phrase in plain text of a language that is written from right
// to left, with isolates around those names only that would be shown out of
// order without: each isolate takes one of the 70 characters of a short
// message, and some old phones show a box for it.
func (p phrase) sparing(v *values) string {
	var b strings.Builder
	for i, part := range p {
		b.WriteString(part.text)
		if part.value != valueServer || keepsOrder(p[:i].plain(v)+part.text, v.server, p[i+1:].plain(v)) {
			b.WriteString(v.of(part.value))
			continue
		}
		b.WriteString(isolateLTR + v.server + isolateEnd)
	}
	return b.String()
}

// keepsOrder reports whether a host keeps its place and its order between what is
// before and after it, by the rules of the Unicode Bidirectional Algorithm (UAX
// #9):
//
//   - It begins with a letter and ends with a letter or a digit, so that all
//     of it is one run from left to right (W7, N1). A digit at the beginning
//     would be a number among the words before it.
//   - The last letter before it is one of the language, or else it would go on
//     with what is written there, and the first one in a message would turn
//     the whole of it around (P2).
//   - What follows is a letter of the language before any number, or else the
//     number would be drawn into the run (W7). That could be the code.
func keepsOrder(before, host, after string) bool {
	if !letter(host[0]) || !letter(host[len(host)-1]) && !digit(host[len(host)-1]) {
		return false
	}
	last := bidi.L
	for _, r := range before {
		if c := classOf(r); c == bidi.L || c == bidi.R || c == bidi.AL {
			last = c
		}
	}
	if last == bidi.L {
		return false
	}
	for _, r := range after {
		c := classOf(r)
		if c == bidi.R || c == bidi.AL {
			return true
		}
		if c == bidi.L || c == bidi.EN || c == bidi.AN {
			return false
		}
	}
	return true
}

func classOf(r rune) bidi.Class {
	p, _ := bidi.LookupRune(r)
	return p.Class()
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }
