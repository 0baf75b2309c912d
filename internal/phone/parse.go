// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// What [Parse] and [FromDigits] refuse. The texts never contain the number.
var (
	// ErrInvalid is returned for what is not a number that can be texted from
	// anywhere: no number at all, one that is too long or too short, a range
	// that does not exist, a short code, a number with an extension.
	ErrInvalid = errors.New("phone number is not valid")
	// ErrCountry is returned when the country dialled from is not one.
	ErrCountry = errors.New("country is not known")
	// ErrKind is returned for a number of a kind that is refused.
	ErrKind = errors.New("phone numbers of this kind are refused")
)

const (
	// maxDigits is the bound of E.164 §6.1. The library knows of longer ones.
	maxDigits = 15
	// minPossible is as short as a number is anywhere, with its calling code
	// (Niue, Tokelau). Germany and Austria set no bound to speak of, and any
	// two digits would be "possible" there.
	minPossible = 7
	// noRegion is the library's word for a number that names its own country.
	noRegion = "ZZ"
)

// Policy says which numbers are accepted. The zero value takes valid numbers
// of every kind but those that are always refused.
type Policy struct {
	// Possible accepts what has a possible length, too. The list of ranges in
	// use is as old as the program, and this is the way out for a range that
	// is newer. Nothing is known of such a number: not its kind, and so not
	// whether it is one of the expensive ones.
	Possible bool
	// Refuse lists kinds that are refused besides those that always are.
	Refuse []Kind
}

// Parse returns the number that whoever dials number from country reaches
// (Identity Service API, "validate/msisdn/requestToken": country is an ISO
// 3166-1 alpha-2 code). An international number means the same from
// everywhere, but the country must be one all the same. An error is or wraps
// [ErrCountry], [ErrInvalid] or [ErrKind].
func Parse(number, country string, p Policy) (Number, error) {
	// The library wants upper case and finds nothing otherwise.
	country, err := canonicalCountry(country)
	if err != nil {
		return Number{}, err
	}
	dialled, ok := input.Number(number)
	if !ok {
		return Number{}, ErrInvalid
	}
	parsed, digits, ok := canonical(dialled, country)
	if !ok {
		return Number{}, ErrInvalid
	}
	n := Number{Digits: digits, Region: regionOf(parsed), Kind: kindOf(parsed)}
	if n.Kind == Unknown && !(p.Possible && possible(parsed, digits)) {
		return Number{}, ErrInvalid
	}
	if p.refuses(n.Kind) {
		return Number{}, fmt.Errorf("%w: %s", ErrKind, n.Kind)
	}
	return n, nil
}

// FromDigits returns the number that a homeserver has stored. It was accepted
// once, so no policy asks for more of it than to be E.164 digits of a calling
// code that exists, and its digits stay what they are: who stored them will
// look for the very same ones.
func FromDigits(digits string) (Number, error) {
	if len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return Number{}, ErrInvalid
	}
	parsed, err := phonenumbers.Parse("+"+digits, noRegion)
	if err != nil {
		return Number{}, ErrInvalid
	}
	return Number{Digits: digits, Region: regionOf(parsed), Kind: kindOf(parsed)}, nil
}

// RegionOf is the country of a number in E.164 without "+", or empty.
func RegionOf(digits string) string {
	n, _ := FromDigits(digits)
	return n.Region
}

// KnownRegion reports whether region is the ISO 3166-1 alpha-2 code, in upper
// case, of a country whose numbers are known. "001" is not a country.
func KnownRegion(region string) bool {
	return phonenumbers.GetSupportedRegions()[region]
}

// canonicalCountry returns the code of a known country in upper case.
func canonicalCountry(country string) (string, error) {
	// Two bytes first: upper-casing finds ASCII letters for others (ı, ſ).
	if len(country) != 2 {
		return "", ErrCountry
	}
	country = strings.ToUpper(country)
	if !KnownRegion(country) {
		return "", ErrCountry
	}
	return country, nil
}

// canonical parses a number and writes it in E.164 form. The form must lead
// back to itself: there are strings of possible length that lose a leading
// digit every time they are read, and these name no number.
func canonical(dialled, country string) (parsed *phonenumbers.PhoneNumber, digits string, ok bool) {
	if strings.HasPrefix(dialled, "+") {
		country = noRegion // or the library tries again without the plus, as if dialled from there
	}
	parsed, err := phonenumbers.Parse(dialled, country)
	if err != nil {
		return nil, "", false
	}
	form := phonenumbers.Format(parsed, phonenumbers.E164)
	again, err := phonenumbers.Parse(form, noRegion)
	if err != nil || phonenumbers.Format(again, phonenumbers.E164) != form {
		return nil, "", false
	}
	digits = strings.TrimPrefix(form, "+")
	return again, digits, len(digits) <= maxDigits
}

// possible reports whether a message from anywhere may reach a number that is not
// valid. The library's own "possible" includes numbers that lack their area code, and
// codes that exist within one country only, those for emergencies among them.
func possible(number *phonenumbers.PhoneNumber, digits string) bool {
	return len(digits) >= minPossible &&
		phonenumbers.IsPossibleNumberWithReason(number) == phonenumbers.IS_POSSIBLE &&
		!phonenumbers.IsValidShortNumber(number)
}
