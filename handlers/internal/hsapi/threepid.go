// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Canonical is an address in the form in which they are compared. One that has
// no such form is left as it is: it equals itself.
func Canonical(medium threepid.Medium, raw string) threepid.ThreePID {
	return threepid.ThreePID{Medium: medium, Address: canonicalText(medium, raw)}
}

func canonicalText(medium threepid.Medium, raw string) string {
	switch medium {
	case threepid.Email:
		raw = input.Address(raw)
		if canonical, err := address.Email(raw); err == nil {
			return canonical
		}
		return strings.ToLower(raw)
	case threepid.MSISDN:
		if dialled, ok := input.Number(raw); ok {
			raw = dialled
		}
		return strings.TrimPrefix(raw, "+")
	}
	return raw
}

// TypedAs is what of a typed address its canonical form does not tell.
func TypedAs(typed, canonical string) string {
	if first := append(address.Spellings(typed, canonical), canonical)[0]; first != canonical {
		return first
	}
	return ""
}

// worldwide is the region of numbers that belong to no country.
const worldwide = "001"

// AnyRegion is where an international number is dialled from: it does not matter.
const AnyRegion = "GB"

// regionOf is a country that a number may be said to be dialled from.
func regionOf(number string) string {
	if region := phone.RegionOf(number); region != "" && region != worldwide {
		return region
	}
	return AnyRegion
}

// TokenRequest is the requestToken body that the homeserver sees.
type TokenRequest struct {
	ClientSecret threepid.Nonce `json:"client_secret"`
	Email        string         `json:"email,omitempty"`
	Country      string         `json:"country,omitempty"`
	PhoneNumber  string         `json:"phone_number,omitempty"`
	SendAttempt  int64          `json:"send_attempt"`
	IDServer     string         `json:"id_server"`
}

// About names the address. A phone number is international, so that the
// homeserver reads the same one wherever it was dialled from.
func (f *TokenRequest) About(medium threepid.Medium, spelling, country string) {
	if medium == threepid.MSISDN {
		f.Country, f.PhoneNumber = country, "+"+spelling
		return
	}
	f.Email = spelling
}

// Entry is an address that an account has, as the homeserver spells it.
type Entry struct {
	Medium   threepid.Medium `json:"medium"`
	Spelling string          `json:"address"`
}

// ThreePID is the address in the form in which they are compared.
func (e Entry) ThreePID() threepid.ThreePID { return Canonical(e.Medium, e.Spelling) }

func canonicalOf(list []Entry) []threepid.ThreePID {
	canonical := make([]threepid.ThreePID, len(list))
	for i, e := range list {
		canonical[i] = e.ThreePID()
	}
	return canonical
}
