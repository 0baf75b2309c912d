// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"crypto/rand"
	"errors"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A homeserver compares addresses as texts, and has those of before us as they were
// typed once. So it is asked for each spelling that it may know, and is told the one
// that it has. What is another spelling and what is another mailbox is said in package
// address, and why in ADR 28.

// ErrAlike refuses an address that the homeserver would take for that of somebody else.
var ErrAlike = wire.BadRequest(wire.CodeInvalidParam, "This server cannot tell this email address from that of somebody else. Please use another email address")

// KnownSpellings are those of the spellings of an address that accounts have, in their order.
// All are asked for, whatever is found: how long it takes tells nothing. Of nearly all
// addresses there is only one, and nobody is asked.
func (h *Homeserver) KnownSpellings(call *wire.Call, spellings []string) (known []string, err error) {
	if len(spellings) < 2 {
		return nil, nil
	}
	if may, err := h.MayProbe(call); err != nil || !may {
		return nil, err
	}
	for _, spelling := range spellings {
		err := h.Taken(call, "", threepid.ThreePID{Medium: threepid.Email, Address: spelling})
		switch {
		case wire.RefusesWith(err, wire.CodeThreepidInUse):
			known = append(known, spelling)
		case err != nil && !wire.RefusesWith(err, wire.CodeThreepidDenied):
			return nil, err
		}
	}
	return known, nil
}

// MayProbe reports whether the homeserver can be asked who has an address and send
// nothing. One that verifies addresses by itself would send a mail. It is not that if
// it asks us, or if it is older than MSC2290, see taken. While that cannot be found out,
// nobody knows who has the address: that is an error, and not a no.
func (h *Homeserver) MayProbe(call *wire.Call) (bool, error) {
	switch {
	case h.NoEmail:
		return false, nil
	case h.AsksUs:
		return true, nil
	}
	return h.Older(call)
}

// Older reports whether the homeserver is from before MSC2290. Such a one keeps
// addresses in lower case, or as they come; later ones fold them.
func (h *Homeserver) Older(call *wire.Call) (bool, error) {
	return h.Lacks(call, route.TailAdd)
}

// Distinguishes refuses an address that is another one to a homeserver which folds
// case in full. There the proof of the one mailbox would be the proof of the other.
func (h *Homeserver) Distinguishes(call *wire.Call, req verification.Request) error {
	if req.Medium != threepid.Email || !address.Folds(req.Address) {
		return nil
	}
	older, err := h.Older(call)
	if err == nil && !older {
		err = ErrAlike
	}
	return err
}

// Spelled is how the homeserver is asked about an address: as an account has it, if one
// does. An address that nobody may have yet is not given to a second account because it
// is spelled, or folded, in another way.
func (h *Homeserver) Spelled(call *wire.Call, req verification.Request) (string, error) {
	if req.Medium != threepid.Email {
		return req.Address, nil
	}
	spellings := address.Spellings(req.Typed, req.Address)
	if req.Purpose != threepid.Password {
		spellings = append(spellings, address.Alike(req.Address)...)
	}
	known, err := h.KnownSpellings(call, spellings)
	if len(known) == 0 {
		return req.Address, err
	}
	return known[0], err
}

// probeServer is an identity server that no homeserver trusts (RFC 2606: the
// name never exists). A homeserver that is asked for a token through it makes
// its own checks of the address first, and then stops without side effects.
const probeServer = "probe.invalid"

var errNoOracle = errors.New("the homeserver did not say whether the address is in use")

// RefuseTaken keeps an address of one account from being moved to another:
// homeservers do that without asking, if only the address is validated. Their
// check is at requestToken, long before. MSC2290 wants it refused. It returns how the
// homeserver is to be told of the address: one that the account has already is left as
// it is spelled there.
func (h *Homeserver) RefuseTaken(call *wire.Call, who *Account, alias *verification.Alias) (spelling string, err error) {
	list, err := h.List(call, who)
	if err != nil {
		return "", err
	}
	for _, t := range list {
		if t.ThreePID() == alias.ThreePID {
			return t.Spelling, nil
		}
	}
	if err := h.Taken(call, who.Token, alias.ThreePID); err != nil || alias.Medium != threepid.Email {
		return alias.Address, err
	}
	others := append(address.Spellings(alias.Typed, alias.Address), address.Alike(alias.Address)...)
	return alias.Address, h.AnyTaken(call, who.Token, slices.DeleteFunc(others, func(s string) bool { return s == alias.Address }))
}

// AnyTaken returns the refusal of the first of some spellings that an account has.
func (h *Homeserver) AnyTaken(call *wire.Call, token threepid.AccessToken, spellings []string) error {
	for _, spelling := range spellings {
		err := h.Taken(call, token, threepid.ThreePID{Medium: threepid.Email, Address: spelling})
		if err != nil && !wire.RefusesWith(err, wire.CodeThreepidDenied) {
			return err
		}
	}
	return nil
}

// Taken asks the homeserver whether an account has an address, spelled exactly so; its
// refusal is the error.
//
// It is asked for one more token, through an identity server that
// it cannot trust. From 1.4 on, Synapse asks its own delegate instead, which is
// us; we refuse what nobody has requested.
func (h *Homeserver) Taken(call *wire.Call, token threepid.AccessToken, id threepid.ThreePID) error {
	answer, err := h.Post(call, "account/3pid/"+string(id.Medium)+"/requestToken", token, probeBody(id))
	if err != nil {
		return wire.UpstreamFailure(err)
	}
	switch wire.ErrcodeOf(answer) {
	case wire.CodeServerNotTrusted, wire.CodeForbidden:
		return nil // all its other checks have passed
	case wire.CodeThreepidInUse, wire.CodeThreepidDenied, wire.CodeLimitExceeded:
		return &wire.RefusalError{Answer: answer}
	}
	return wire.UpstreamFailure(errNoOracle)
}

// probeBody asks about an address in the name of nobody.
func probeBody(id threepid.ThreePID) []byte {
	probe := TokenRequest{ClientSecret: threepid.Nonce(rand.Text()), SendAttempt: 1, IDServer: probeServer}
	probe.About(id.Medium, id.Address, regionOf(id.Address))
	return wire.Encoded(probe)
}
