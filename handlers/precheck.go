// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// precheck looks at what a request proves before the homeserver is told of it, and sees to
// it that the homeserver is told in its own words.
func (j *completion) precheck() error {
	j.dropLegacySession()
	if err := j.checkOwner(); err != nil {
		return err
	}
	if err := j.spell(); err != nil {
		return err
	}
	j.nameOwner()
	return nil
}

// dropLegacySession keeps one click from being worth a second reset. A legacy homeserver
// keeps the proof of an address with its session, and takes the session alone for
// another reset at the same endpoint, any number of times. So the session of
// somebody who is not logged in is passed on only together with a live alias, which
// replaces the proof that is kept. A phone's would stand beside it, and its refusal
// would not stop the other. All the flows there have one stage, so nothing is lost.
func (j *completion) dropLegacySession() {
	if j.call.Route.Tail != route.TailPassword || j.auth == nil || wire.HasToken(j.call.R) || j.provesEmail() {
		return
	}
	if _, given := j.auth["session"]; !given {
		return
	}
	delete(j.auth, "session")
	j.changed = true
}

// provesEmail reports whether a live alias of an email address is shown, at its stage.
func (j *completion) provesEmail() bool {
	for _, c := range j.live() {
		if c.alias.Medium == verification.Email && c.Stage == wire.StageEmail {
			return true
		}
	}
	return false
}

// checkOwner keeps an address that is proven from being taken from another
// account, see RefuseTaken. Whoever has proven an address has to say who they
// are: a token that only the homeserver finds would be somebody else's.
func (j *completion) checkOwner() error {
	for _, c := range j.live() {
		if !c.adds() {
			continue
		}
		if j.who == nil {
			who, err := j.client.hs.Whoami(j.call)
			if err != nil {
				return err
			}
			j.who = who
		}
		spelling, err := j.client.hs.RefuseTaken(j.call, j.who, c.alias)
		if err == nil && spelling != c.alias.Address && c.alias.Medium == verification.Email {
			err = j.client.svc.Spell(j.call.R.Context(), c.alias, spelling)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spell has the homeserver told what is proven in its own spelling. For an address that
// is added, checkOwner has seen to that.
func (j *completion) spell() error {
	for _, c := range j.live() {
		if c.alias.Medium != verification.Email || c.adds() {
			continue
		}
		if err := j.freeOfAlike(c.alias); err != nil {
			return err
		}
		known, err := j.client.hs.KnownSpellings(j.call, address.Spellings(c.alias.Typed, c.alias.Address))
		if err == nil && len(known) > 0 && known[0] != c.alias.Address {
			err = j.client.svc.Spell(j.call.R.Context(), c.alias, known[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// freeOfAlike refuses a registration by an address to which one of an account is alike.
func (j *completion) freeOfAlike(alias *verification.Alias) error {
	alike := address.Alike(alias.Address)
	if j.call.Route.Purpose != verification.Register || len(alike) == 0 {
		return nil
	}
	if may, err := j.client.hs.MayProbe(j.call); err != nil || !may {
		return err
	}
	return j.client.hs.AnyTaken(j.call, "", alike)
}

// namesAddress reports whether a user of whom there is a token names themselves by an
// address in a password stage.
func (j *completion) namesAddress() bool {
	stage, _, err := j.auth.Text("type")
	return err == nil && stage == wire.StagePassword && wire.HasToken(j.call.R) && thirdParty(j.auth) != nil
}

// asker is who makes the request.
func (j *completion) asker() (*hsapi.Account, error) {
	if j.who != nil {
		return j.who, nil
	}
	return j.client.hs.Whoami(j.call)
}

// nameOwner names such a user by their user ID. Homeservers of then know no address at
// this place, and those of today only their own spelling of it. An address that is none
// of the account's stays, and so does everything when the homeserver does not say:
// whose password it is, is the homeserver's to judge.
func (j *completion) nameOwner() {
	if !j.namesAddress() {
		return
	}
	holder := thirdParty(j.auth)
	medium, _, _ := holder.Text("medium")
	typed, _, err := holder.Text("address")
	if err != nil {
		return
	}
	who, err := j.asker()
	if err != nil {
		return
	}
	named := hsapi.Threepid{Medium: verification.Medium(medium), Address: hsapi.Canonical(verification.Medium(medium), typed)}
	if own, _ := j.client.hs.Owns(j.call, who, named); !own {
		return
	}
	delete(j.auth, "medium")
	delete(j.auth, "address")
	j.auth["user"] = wire.Encoded(who.User)
	j.auth["identifier"] = wire.Encoded(wire.Object{"type": wire.Encoded("m.id.user"), "user": wire.Encoded(who.User)})
	j.changed = true
}
