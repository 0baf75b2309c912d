// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
)

// ErrInvalid is returned for an address that no mail will be sent to. Its
// text never contains the address.
var ErrInvalid = errors.New("address is not valid")

// Limits of RFC 5321 §4.5.3.1, in octets of the canonical form.
const (
	maxLocal = 64
	maxEmail = 254
)

// domains maps a domain to its A-label form by UTS #46, and refuses what a
// mail domain cannot be. idna.Lookup is not enough: it drops invisible
// characters in silence and accepts labels over 63 octets.
var domains = idna.New(
	idna.MapForLookup(),
	idna.StrictDomainName(true),
	idna.BidiRule(),
	idna.ValidateLabels(true),
	idna.CheckHyphens(false), // but see hyphenated
	idna.CheckJoiners(true),
	idna.VerifyDNSLength(true),
)

// Email returns the canonical form of an email address: local part in NFC and in
// lower case, domain as lower-case A-labels. It names the very mailbox that was typed,
// in the way in which it is mailed to; see foldCase for counting.
func Email(typed string) (string, error) {
	// A bound before any work is done; no canonical form is shorter than a
	// third of what was typed by enough to matter.
	if len(typed) > 4*maxEmail {
		return "", ErrInvalid
	}
	local, domain, _ := strings.Cut(typed, "@") // with no @, or with two, there is no domain
	domain, err := Domain(domain)
	if err != nil {
		return "", err
	}
	local, err = canonicalLocal(local)
	if err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > maxEmail {
		return "", ErrInvalid
	}
	return local + "@" + domain, nil
}

// Domain returns the canonical form of the domain of an address: lower-case
// A-labels, as they are asked of the domain name system and told to relays.
func Domain(typed string) (string, error) {
	if len(typed) > 4*maxEmail || strings.IndexFunc(typed, invisible) >= 0 {
		return "", ErrInvalid
	}
	ascii, err := domains.ToASCII(typed)
	if err != nil || endsInNumber(ascii) || hyphenated(ascii) {
		return "", ErrInvalid
	}
	return ascii, nil
}

// endsInNumber reports a domain without a last label, or one that a resolver may read as an IPv4 address,
// in any of its notations (WHATWG URL §3.5, "ends in a number"). No top-level
// domain is a number (RFC 3696 §2), and a client must not make the mail relay
// connect to an address of its choice.
func endsInNumber(domain string) bool {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(last, digits) == ""
}

func canonicalLocal(local string) (string, error) {
	if strings.IndexFunc(local, forbiddenInLocal) >= 0 { // < and a mark make a letter
		return "", ErrInvalid
	}
	// In lower case, and not folded: straße is not the mailbox strasse.
	lowered := stable(lower, local)
	// Normalisation may bring forth a character that was not there before.
	if strings.IndexFunc(lowered, forbiddenInLocal) >= 0 {
		return "", ErrInvalid
	}
	if lowered == "" || len(lowered) > maxLocal ||
		strings.HasPrefix(lowered, ".") || strings.HasSuffix(lowered, ".") || strings.Contains(lowered, "..") {
		return "", ErrInvalid
	}
	return lowered, nil
}

// fold is the full case folding of Unicode (§3.13, D144), which maps one
// character at a time. The small letters of Cherokee fold to the capitals, which
// are older; x/text folds those to the small letters in turn, so that the two
// would never meet.
func fold(s string) string {
	folder := cases.Fold() // not one for all: it has a state
	var b strings.Builder
	for {
		at := strings.IndexFunc(s, cherokeeCapital)
		if at < 0 {
			return b.String() + folder.String(s)
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		b.WriteString(folder.String(s[:at]) + s[at:at+size])
		s = s[at+size:]
	}
}

func cherokeeCapital(r rune) bool { return r >= 0x13a0 && r <= 0x13f5 }

// forbiddenInLocal reports what a dot-atom (RFC 5322 §3.2.3, RFC 6531 §3.3)
// cannot hold. Quoted local parts are refused altogether: parsers disagree on
// them, and an SMTP parameter can be hidden inside one.
func forbiddenInLocal(r rune) bool {
	return strings.ContainsRune(`"(),:;<>@[\]`, r) || r == unicode.ReplacementChar || invisible(r)
}

// invisible reports control characters, white space, line and paragraph
// separators, and format characters (zero-width, bidi controls, soft hyphen).
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs, unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
