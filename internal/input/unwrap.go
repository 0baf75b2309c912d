// SPDX-License-Identifier: Apache-2.0

package input

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Schemes of links that name an address or a number (RFC 6068, RFC 3966).
const (
	mailto = "mailto:"
	tel    = "tel:"
)

// unwrap takes off what is around a text, one layer after another, until nothing is
// left to take off: unwrapping again changes nothing.
func unwrap(s string, layer func(string) string) string {
	if len(s) > maxInput {
		return s
	}
	for {
		inner := layer(Trim(s))
		if inner == s {
			return s
		}
		s = inner
	}
}

// unlink is what a link names. One with parameters, like a subject, another
// reader, an extension or a context to dial in, says more than that, and stays a
// link.
func unlink(s, scheme string) string {
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) || strings.ContainsAny(s, "?;#") {
		return s
	}
	named, err := url.PathUnescape(s[len(scheme):]) // browsers copy the blanks of a link as %20
	if err != nil {
		return s
	}
	return named
}

// unquote takes off an opening and a closing bracket or quote. A domain does not
// end with any, so there is no other reading of an address that begins and ends
// like this.
func unquote(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	last, m := utf8.DecodeLastRuneInString(s)
	if n+m > len(s) || !opens(first) || !closes(last) {
		return s
	}
	return s[n : len(s)-m]
}

// Quotes open in one language what they close in another.
func quotes(r rune) bool {
	return strings.ContainsRune("\"'`", r) || unicode.In(r, unicode.Pi, unicode.Pf)
}

func opens(r rune) bool {
	return quotes(r) || strings.ContainsRune("<＜", r) || unicode.Is(unicode.Ps, r)
}

func closes(r rune) bool {
	return quotes(r) || strings.ContainsRune(">＞", r) || unicode.Is(unicode.Pe, r)
}
