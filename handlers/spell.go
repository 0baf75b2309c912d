// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

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
		known, err := j.client.hs.KnownSpellings(call, address.Spellings(alias.Typed, alias.Address))
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
	if may, err := j.client.hs.MayProbe(call); err != nil || !may {
		return err
	}
	return j.client.hs.AnyTaken(call, "", alike)
}
