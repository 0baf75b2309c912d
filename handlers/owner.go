// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// probeServer is an identity server that no homeserver trusts (RFC 2606: the
// name never exists). A homeserver that is asked for a token through it makes
// its own checks of the address first, and then stops without side effects.
const probeServer = "probe.invalid"

var errNoOracle = errors.New("the homeserver did not say whether the address is in use")

// canonicalAddress is the form in which addresses are compared. One that has
// no such form is left as it is: it equals itself.
func canonicalAddress(medium verification.Medium, raw string) string {
	switch medium {
	case verification.Email:
		raw = input.Address(raw)
		if canonical, err := address.Email(raw); err == nil {
			return canonical
		}
		return strings.ToLower(raw)
	case verification.MSISDN:
		if dialled, ok := input.Number(raw); ok {
			raw = dialled
		}
		return strings.TrimPrefix(raw, "+")
	}
	return raw
}

// refuseTaken keeps an address of one account from being moved to another:
// homeservers do that without asking, if only the address is validated. Their
// check is at requestToken, long before. MSC2290 wants it refused. It returns how the
// homeserver is to be told of the address: one that the account has already is left as
// it is spelled there.
func (h *homeserver) refuseTaken(call *wire.Call, who *account, alias *verification.Alias) (spelling string, err error) {
	list, err := h.listed(call, who)
	if err != nil {
		return "", err
	}
	for _, t := range list {
		if t.Medium == alias.Medium && canonicalAddress(t.Medium, t.Address) == alias.Address {
			return t.Address, nil
		}
	}
	if err := h.taken(call, who.token, alias.Medium, alias.Address); err != nil || alias.Medium != verification.Email {
		return alias.Address, err
	}
	others := append(address.Spellings(alias.Typed, alias.Address), address.Alike(alias.Address)...)
	return alias.Address, h.anyTaken(call, who.token, slices.DeleteFunc(others, func(s string) bool { return s == alias.Address }))
}

// anyTaken returns the refusal of the first of some spellings that an account has.
func (h *homeserver) anyTaken(call *wire.Call, token string, spellings []string) error {
	for _, spelling := range spellings {
		err := h.taken(call, token, verification.Email, spelling)
		if err != nil && !wire.RefusesWith(err, wire.CodeThreepidDenied) {
			return err
		}
	}
	return nil
}

// taken asks the homeserver whether an account has an address, spelled exactly so; its
// refusal is the error.
//
// It is asked for one more token, through an identity server that
// it cannot trust. From 1.4 on, Synapse asks its own delegate instead, which is
// us; we refuse what nobody has requested.
func (h *homeserver) taken(call *wire.Call, token string, medium verification.Medium, addr string) error {
	answer, err := h.post(call, "account/3pid/"+string(medium)+"/requestToken", token, probeBody(medium, addr))
	if err != nil {
		return wire.UpstreamFailure(err)
	}
	switch wire.ErrcodeOf(answer) {
	case wire.CodeServerNotTrusted, wire.CodeForbidden:
		return nil // all its other checks have passed
	case wire.CodeThreepidInUse, wire.CodeThreepidDenied, wire.CodeLimitExceeded:
		return &wire.Refusal{Answer: answer}
	}
	return wire.UpstreamFailure(errNoOracle)
}

// probeBody asks about an address in the name of nobody.
func probeBody(medium verification.Medium, addr string) []byte {
	probe := forwardedToken{ClientSecret: rand.Text(), SendAttempt: 1, IDServer: probeServer}
	probe.about(medium, addr, regionOf(addr))
	return wire.Encoded(probe)
}
