// SPDX-License-Identifier: Apache-2.0

package input

import "unicode"

// digit is a decimal digit of any script (Unicode, general category Nd) as an
// ASCII one. Unicode keeps the ten of a script together and in order, and what
// follows one another without a gap, as in mathematics, are tens as well.
func digit(r rune) (value byte, ok bool) {
	if !unicode.IsDigit(r) {
		return 0, false
	}
	zero := r
	for unicode.IsDigit(zero - 1) {
		zero--
	}
	return "0123456789"[(r-zero)%10], true
}
