// SPDX-License-Identifier: Apache-2.0

package input

import (
	"strings"
	"unicode"
)

// maxInput bounds what is looked at, in bytes. It is longer than an address of 254
// octets with every one of them escaped, within a link, behind a name.
const maxInput = 4096

// Trim takes away the blanks of every script, line ends and unseen marks that text
// was copied with: marks of direction, zero-width characters, soft hyphens, byte
// order marks. Other control characters stay, for somebody to refuse.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unseen(r) })
}

// unseen reports what readers do not see, other than blanks and controls. Some
// format characters are seen: the Arabic sign for a number, for example.
func unseen(r rune) bool {
	return r > unicode.MaxASCII && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) &&
		unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
