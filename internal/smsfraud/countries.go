// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// unknownRegion stands for the region of a number that belongs to none; it is
// CLDR's word for that.
const unknownRegion = "ZZ"

// world is the region of numbers of the whole world; it is CLDR's word, too.
const world = "001"

// maxDigits is the length of the longest number (ITU-T E.164 §6.2.1).
const maxDigits = 15

// parseRegion reads a region: two letters (ISO 3166-1), or three digits as the
// numbers that belong to the whole world have ("001").
func parseRegion(text string) (string, bool) {
	r := strings.ToUpper(input.Trim(text))
	switch {
	case len(r) == 3 && onlyDigits(r):
		return r, true
	case len(r) == 2 && r[0] >= 'A' && r[0] <= 'Z' && r[1] >= 'A' && r[1] <= 'Z':
		return r, true
	}
	return "", false
}

// parsePrefix reads the beginning of a number, "+4479", and returns its digits.
// No country code begins with a zero (ITU-T E.164 §6.2).
func parsePrefix(text string) (string, bool) {
	digits, plus := strings.CutPrefix(input.NumberOrWord(text), "+")
	return digits, plus && onlyDigits(digits) && len(digits) <= maxDigits && digits[0] != '0'
}

// worldwide begin the numbers that belong to no country: of satellites, and of services
// and networks of the whole world. Whoever earns by calls to numbers likes them best, and
// hardly any person has one.
var worldwide = []string{"800", "808", "870", "878", "881", "882", "883", "888", "979"}

// ofPeople reports whether a number is one of a country.
func ofPeople(digits, region string) bool {
	return region != world && !slices.ContainsFunc(worldwide, func(code string) bool { return strings.HasPrefix(digits, code) })
}

// rules are one list of regions and prefixes.
type rules struct {
	all      bool
	regions  map[string]bool
	prefixes map[string]bool
}

func parseRules(list []string) (rules, error) {
	r := rules{regions: map[string]bool{}, prefixes: map[string]bool{}}
	for _, text := range list {
		if input.Trim(text) == "*" {
			r.all = true
		} else if digits, ok := parsePrefix(text); ok {
			r.prefixes[digits] = true
		} else if region, ok := parseRegion(text); ok {
			r.regions[region] = true
		} else {
			return r, fmt.Errorf("%s: is neither a country, like FR, nor the beginning of numbers, like +4479", text)
		}
	}
	return r, nil
}

// match says how closely the list speaks of a number: -1 if it does not, 0 for
// all that are people's, 1 for its region, and more the longer the prefix is.
func (r rules) match(digits, region string) int {
	for n := len(digits); n > 0; n-- {
		if r.prefixes[digits[:n]] {
			return 1 + n
		}
	}
	switch {
	case r.regions[region]:
		return 1
	case r.all && ofPeople(digits, region):
		return 0
	}
	return -1
}

// policy says which numbers get messages at all.
type policy struct{ allow, deny rules }

func parsePolicy(allow, deny []string) (p policy, err error) {
	if len(allow) == 0 {
		return p, errors.New("allow: is required: the countries that messages go to; write: allow FR DE, or * for all")
	}
	if p.allow, err = parseRules(allow); err != nil {
		return p, fmt.Errorf("allow %w", err)
	}
	if p.deny, err = parseRules(deny); err != nil {
		return p, fmt.Errorf("deny %w", err)
	}
	if p.deny.all {
		return p, errors.New("deny *: would leave nothing; leave countries out of allow instead")
	}
	return p, nil
}

// allows follows whichever list speaks of the number more closely; if both do
// equally, it is denied.
func (p policy) allows(digits, region string) bool {
	allowed := p.allow.match(digits, region)
	return allowed >= 0 && allowed > p.deny.match(digits, region)
}
