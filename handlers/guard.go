// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// guard looks at what a request proves before the homeserver is told of it, and sees to
// it that the homeserver is told in its own words.
func (j *completion) guard(call *wire.Call) error {
	j.guardReset(call.R)
	if err := j.guardOwner(call); err != nil {
		return err
	}
	if err := j.spell(call); err != nil {
		return err
	}
	j.nameOwner(call)
	return nil
}

// guardReset keeps one click from being worth a second reset. A legacy homeserver
// keeps the proof of an address with its session, and takes the session alone for
// another reset at the same endpoint, any number of times. So the session of
// somebody who is not logged in is passed on only together with a live alias, which
// replaces the proof that is kept. A phone's would stand beside it, and its refusal
// would not stop the other. All the flows there have one stage, so nothing is lost.
func (j *completion) guardReset(r *http.Request) {
	if j.route.Tail != route.TailPassword || j.auth == nil || wire.HasToken(r) || j.provesEmail() {
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
	for i, a := range j.aliases {
		if a.Live && a.Medium == verification.Email && j.stages[i] == wire.StageEmail {
			return true
		}
	}
	return false
}

// guardOwner keeps an address that is proven from being taken from another
// account, see refuseTaken. Whoever has proven an address has to say who they
// are: a token that only the homeserver finds would be somebody else's.
func (j *completion) guardOwner(call *wire.Call) error {
	for i, alias := range j.aliases {
		if !alias.Live || !j.adds(i) {
			continue
		}
		if j.who == nil {
			who, err := j.client.hs.Whoami(call)
			if err != nil {
				return err
			}
			j.who = who
		}
		spelling, err := j.client.hs.RefuseTaken(call, j.who, alias)
		if err == nil && spelling != alias.Address && alias.Medium == verification.Email {
			err = j.client.svc.Spell(call.R.Context(), alias, spelling)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// adds reports whether an account is to get the address of an alias, and not a stage
// to be completed.
func (j *completion) adds(i int) bool { return j.stages[i] == "" }
