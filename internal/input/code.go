// SPDX-License-Identifier: Apache-2.0

package input

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxToken is how long a token may be, in code points (IS API, "Establishing
	// associations": at most 255).
	maxToken = 255
	// maxCode is how long a code may be with what people put between its digits.
	maxCode = 16
)

// Code is what was typed or clicked as a token, in the form in which it was sent: a
// code in ASCII digits with nothing between them, and a link's token without blanks
// and unseen marks. It reports false for what cannot be a token at all.
func Code(s string) (token string, ok bool) {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxToken {
		return "", false
	}
	token = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unseen(r) {
			return -1
		}
		return r
	}, s)
	return plainCode(token), token != ""
}

// plainCode writes a code in the digits in which it was sent. A token that is no
// code stays as it is.
func plainCode(token string) string {
	if utf8.RuneCountInString(token) > maxCode {
		return token
	}
	var b strings.Builder
	for _, r := range token {
		if value, ok := digit(r); ok {
			b.WriteByte(value)
		} else if !separates(r) && !quotes(r) {
			return token
		}
	}
	if b.Len() == 0 {
		return token
	}
	return b.String()
}
