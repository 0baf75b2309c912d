// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Canonical is the form in which addresses are compared. One that has
// no such form is left as it is: it equals itself.
func Canonical(medium threepid.Medium, raw string) string {
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
	ClientSecret string `json:"client_secret"`
	Email        string `json:"email,omitempty"`
	Country      string `json:"country,omitempty"`
	PhoneNumber  string `json:"phone_number,omitempty"`
	SendAttempt  int64  `json:"send_attempt"`
	IDServer     string `json:"id_server"`
}

// About names the address. A phone number is international, so that the
// homeserver reads the same one wherever it was dialled from.
func (f *TokenRequest) About(medium threepid.Medium, address, country string) {
	if medium == threepid.MSISDN {
		f.Country, f.PhoneNumber = country, "+"+address
		return
	}
	f.Email = address
}

// Threepid is an address that an account has.
type Threepid struct {
	Medium  threepid.Medium `json:"medium"`
	Address string          `json:"address"`
}

func canonicalOf(list []Threepid) []Threepid {
	canonical := slices.Clone(list)
	for i, t := range canonical {
		canonical[i].Address = Canonical(t.Medium, t.Address)
	}
	return canonical
}
