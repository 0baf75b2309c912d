// SPDX-License-Identifier: Apache-2.0

package address

import (
	"slices"
	"strings"
)

// hyphenated reports a label whose hyphens no label has: at an end (RFC 1123 §2.1),
// or, in a label of another script, at the third and the fourth place, where an
// A-label has its own (RFC 5891 §4.2.3.1). Plain names may have them there, and some
// real ones do, so UTS #46 made the check an option (§4.1, CheckHyphens). What begins
// with xn-- has been decoded: it is an A-label, or refused.
func hyphenated(ascii string) bool {
	unicode, err := domains.ToUnicode(ascii)
	return err != nil || slices.ContainsFunc(strings.Split(unicode, "."), func(label string) bool {
		r := []rune(label)
		return strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			len(r) != len(label) && len(r) > 4 && r[2] == '-' && r[3] == '-'
	})
}
