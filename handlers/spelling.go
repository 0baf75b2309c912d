// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A homeserver compares addresses as texts, and has those of before us as they were
// typed once. So it is asked for each spelling that it may know, and is told the one
// that it has. What is another spelling and what is another mailbox is said in package
// address, and why in ADR 28.

// errAlike refuses an address that the homeserver would take for that of somebody else.
var errAlike = wire.BadRequest(wire.CodeInvalidParam, "This server cannot tell this email address from that of somebody else. Please use another email address")

// known are those of the spellings of an address that accounts have, in their order.
// All are asked for, whatever is found: how long it takes tells nothing. Of nearly all
// addresses there is only one, and nobody is asked.
func (h *homeserver) known(call *wire.Call, spellings []string) (known []string, err error) {
	if len(spellings) < 2 {
		return nil, nil
	}
	if may, err := h.mayProbe(call); err != nil || !may {
		return nil, err
	}
	for _, spelling := range spellings {
		err := h.taken(call, "", verification.Email, spelling)
		switch {
		case wire.RefusesWith(err, wire.CodeThreepidInUse):
			known = append(known, spelling)
		case err != nil && !wire.RefusesWith(err, wire.CodeThreepidDenied):
			return nil, err
		}
	}
	return known, nil
}

// mayProbe reports whether the homeserver can be asked who has an address and send
// nothing. One that verifies addresses by itself would send a mail. It is not that if
// it asks us, or if it is older than MSC2290, see taken. While that cannot be found out,
// nobody knows who has the address: that is an error, and not a no.
func (h *homeserver) mayProbe(call *wire.Call) (bool, error) {
	switch {
	case h.NoEmail:
		return false, nil
	case h.AsksUs:
		return true, nil
	}
	return h.older(call)
}

// older reports whether the homeserver is from before MSC2290. Such a one keeps
// addresses in lower case, or as they come; later ones fold them.
func (h *homeserver) older(call *wire.Call) (bool, error) {
	return h.lacks(call, route.TailAdd)
}

// distinguishes refuses an address that is another one to a homeserver which folds
// case in full. There the proof of the one mailbox would be the proof of the other.
func (h *homeserver) distinguishes(call *wire.Call, req verification.Request) error {
	if req.Medium != verification.Email || !address.Folds(req.Address) {
		return nil
	}
	older, err := h.older(call)
	if err == nil && !older {
		err = errAlike
	}
	return err
}

// spelled is how the homeserver is asked about an address: as an account has it, if one
// does. An address that nobody may have yet is not given to a second account because it
// is spelled, or folded, in another way.
func (h *homeserver) spelled(call *wire.Call, req verification.Request) (string, error) {
	if req.Medium != verification.Email {
		return req.Address, nil
	}
	spellings := address.Spellings(req.Typed, req.Address)
	if req.Purpose != verification.Password {
		spellings = append(spellings, address.Alike(req.Address)...)
	}
	known, err := h.known(call, spellings)
	if len(known) == 0 {
		return req.Address, err
	}
	return known[0], err
}

// spell has the homeserver told what is proven in its own spelling. For an address that
// is added, guardOwner has seen to that.
func (j *completion) spell(call *wire.Call) error {
	for i, alias := range j.aliases {
		if !alias.Live || alias.Medium != verification.Email || j.adds(i) {
			continue
		}
		if err := j.freeOfAlike(call, alias); err != nil {
			return err
		}
		known, err := j.client.hs.known(call, address.Spellings(alias.Typed, alias.Address))
		if err == nil && len(known) > 0 && known[0] != alias.Address {
			err = j.client.svc.Spell(call.R.Context(), alias, known[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// freeOfAlike refuses a registration by an address to which one of an account is alike.
func (j *completion) freeOfAlike(call *wire.Call, alias *verification.Alias) error {
	alike := address.Alike(alias.Address)
	if j.route.Purpose != verification.Register || len(alike) == 0 {
		return nil
	}
	if may, err := j.client.hs.mayProbe(call); err != nil || !may {
		return err
	}
	return j.client.hs.anyTaken(call, "", alike)
}

// typedAs is what of a typed address its canonical form does not tell.
func typedAs(typed, canonical string) string {
	if first := append(address.Spellings(typed, canonical), canonical)[0]; first != canonical {
		return first
	}
	return ""
}
