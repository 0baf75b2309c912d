// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// namesAddress reports whether a user of whom there is a token names themselves by an
// address in a password stage.
func (j *completion) namesAddress(r *http.Request) bool {
	stage, _, err := j.auth.Text("type")
	return err == nil && stage == wire.StagePassword && wire.HasToken(r) && thirdParty(j.auth) != nil
}

// asker is who makes the request.
func (j *completion) asker(call *wire.Call) (*hsapi.Account, error) {
	if j.who != nil {
		return j.who, nil
	}
	return j.client.hs.Whoami(call)
}

// nameOwner names such a user by their user ID. Homeservers of then know no address at
// this place, and those of today only their own spelling of it. An address that is none
// of the account's stays, and so does everything when the homeserver does not say:
// whose password it is, is the homeserver's to judge.
func (j *completion) nameOwner(call *wire.Call) {
	if !j.namesAddress(call.R) {
		return
	}
	holder := thirdParty(j.auth)
	medium, _, _ := holder.Text("medium")
	typed, _, err := holder.Text("address")
	if err != nil {
		return
	}
	who, err := j.asker(call)
	if err != nil {
		return
	}
	named := hsapi.Threepid{Medium: verification.Medium(medium), Address: hsapi.Canonical(verification.Medium(medium), typed)}
	if own, _ := j.client.hs.Owns(call, who, named); !own {
		return
	}
	delete(j.auth, "medium")
	delete(j.auth, "address")
	j.auth["user"] = wire.Encoded(who.User)
	j.auth["identifier"] = wire.Encoded(wire.Object{"type": wire.Encoded("m.id.user"), "user": wire.Encoded(who.User)})
	j.changed = true
}
