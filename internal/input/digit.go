// SPDX-License-Identifier: Apache-2.0

package input

import "unicode"

// digit is a decimal digit of any script (Unicode, general category Nd) as an
// ASCII one. Unicode keeps the ten of a script together and in order, and blocks
// of several tens, like those of mathematics, begin with a zero as well.
func digit(r rune) (value byte, ok bool) {
	if r <= unicode.MaxASCII {
		return byte(r), '0' <= r && r <= '9'
	}
	for _, block := range unicode.Nd.R16 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return byte('0' + (r-lo)%10), true
		}
	}
	for _, block := range unicode.Nd.R32 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return byte('0' + (r-lo)%10), true
		}
	}
	return 0, false
}
