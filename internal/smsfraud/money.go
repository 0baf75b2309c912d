// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in millionths of the operator's currency, whichever that
// is: prices of messages have three or four decimal places.
type Money int64

// unit is one whole piece of the currency.
const unit Money = 1_000_000

// decimals is how many digits of a fraction there are.
const decimals = 6

var errMoney = errors.New("an amount of money is written as 12 or 12.345, with at most six decimal places")

// ParseMoney reads an amount: digits, and a point with one to six more. There is
// neither a sign nor rounding: a price that is not what was written would be
// noticed on the bill only.
func ParseMoney(text string) (Money, error) {
	whole, fraction, pointed := strings.Cut(text, ".")
	if !onlyDigits(whole) || pointed && !onlyDigits(fraction) || len(fraction) > decimals {
		return 0, errMoney
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > int64(math.MaxInt64/unit)-1 {
		return 0, errMoney
	}
	part, _ := strconv.ParseInt(fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64) // six digits
	return Money(n)*unit + Money(part), nil
}

// String is the amount as ParseMoney reads it, as short as possible.
func (m Money) String() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	text := sign + strconv.FormatUint(n/uint64(unit), 10)
	if part := n % uint64(unit); part != 0 {
		digits := strconv.FormatUint(part+uint64(unit), 10)[1:] // with its leading zeros
		text += "." + strings.TrimRight(digits, "0")
	}
	return text
}

// plus adds amounts that are not negative, and stops at the largest number
// instead of beginning again.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// onlyDigits reports whether text is one or more ASCII digits.
func onlyDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
