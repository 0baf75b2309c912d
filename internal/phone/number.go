// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// Number is a phone number in canonical form.
type Number struct {
	// Digits is the number in E.164 form without the plus, which is what
	// homeservers store (appendices, "3PID types").
	Digits string
	// Region is the ISO 3166-1 alpha-2 code of where the number belongs, and
	// "001" for the ranges that belong to no country (satellites, networks of
	// ships and aircraft). A number that is only possible (see [Policy]) may
	// not tell which of the regions that share its calling code it belongs to;
	// then it is the main one of them.
	Region string
	// Kind is what the number is used for.
	Kind Kind
}

// International returns the number as people write it for people abroad:
// +44 7700 900001. It is the intl_fmt of requestToken's answer.
func (n Number) International() string {
	parsed, err := phonenumbers.Parse("+"+n.Digits, noRegion)
	if err != nil {
		return "+" + n.Digits // not made by this package
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}

// Kind says what a number is used for, in a word that configuration, metrics
// and errors share.
type Kind string

// The kinds. Which one a number has is known for valid numbers only.
const (
	Mobile        Kind = "mobile"
	FixedLine     Kind = "fixed_line"
	FixedOrMobile Kind = "fixed_or_mobile" // the number does not tell: all of North America
	VoIP          Kind = "voip"
	PremiumRate   Kind = "premium_rate"
	SharedCost    Kind = "shared_cost"
	TollFree      Kind = "toll_free"
	Personal      Kind = "personal" // follows its owner from line to line
	Pager         Kind = "pager"
	UAN           Kind = "uan" // universal access number, of a company
	Voicemail     Kind = "voicemail"
	Unknown       Kind = "unknown" // merely possible
)

// Kinds returns all kinds there are.
func Kinds() []Kind {
	return []Kind{
		Mobile, FixedLine, FixedOrMobile, VoIP, PremiumRate, SharedCost,
		TollFree, Personal, Pager, UAN, Voicemail, Unknown,
	}
}

// neverTexted are the kinds that are refused whatever the policy says: those
// that pay their owner at the caller's expense, and those that reach a switch
// or a company and never the hand of a person.
var neverTexted = []Kind{PremiumRate, SharedCost, TollFree, Pager, Voicemail, UAN}

// refuses reports whether p has no numbers of that kind.
func (p Policy) refuses(kind Kind) bool {
	return slices.Contains(neverTexted, kind) || slices.Contains(p.Refuse, kind)
}

// kindOf translates the library's type.
func kindOf(number *phonenumbers.PhoneNumber) Kind {
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.MOBILE:
		return Mobile
	case phonenumbers.FIXED_LINE:
		return FixedLine
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return FixedOrMobile
	case phonenumbers.VOIP:
		return VoIP
	case phonenumbers.PREMIUM_RATE:
		return PremiumRate
	case phonenumbers.SHARED_COST:
		return SharedCost
	case phonenumbers.TOLL_FREE:
		return TollFree
	case phonenumbers.PERSONAL_NUMBER:
		return Personal
	case phonenumbers.PAGER:
		return Pager
	case phonenumbers.UAN:
		return UAN
	case phonenumbers.VOICEMAIL:
		return Voicemail
	default:
		return Unknown
	}
}

// regionOf returns the region a number belongs to.
func regionOf(number *phonenumbers.PhoneNumber) string {
	if region := phonenumbers.GetRegionCodeForNumber(number); region != "" {
		return region
	}
	return phonenumbers.GetRegionCodeForCountryCode(int(number.GetCountryCode()))
}
