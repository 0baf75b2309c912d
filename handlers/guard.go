// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// guardReset keeps one click from being worth a second reset. A legacy homeserver
// keeps the proof of an address with its session, and takes the session alone for
// another reset at the same endpoint, any number of times. So the session of
// somebody who is not logged in is passed on only together with a live alias, which
// replaces the proof that is kept. A phone's would stand beside it, and its refusal
// would not stop the other. All the flows there have one stage, so nothing is lost.
func (j *completion) guardReset(r *http.Request) {
	if j.route.tail != "account/password" || j.auth == nil || hasToken(r) || j.provesEmail() {
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
		if a.Live && a.Medium == verification.Email && j.stages[i] == stageEmail {
			return true
		}
	}
	return false
}

// guardOwner keeps an address that is proven from being taken from another
// account, see refuseTaken. Whoever has proven an address has to say who they
// are: a token that only the homeserver finds would be somebody else's.
func (j *completion) guardOwner(r *http.Request, next Next) error {
	if j.route.purpose != verification.Add {
		return nil
	}
	for i, alias := range j.aliases {
		if !alias.Live || j.stages[i] != "" {
			continue
		}
		if j.who == nil {
			who, err := j.client.whoami(r, next)
			if err != nil {
				return err
			}
			j.who = &who
		}
		if err := j.client.refuseTaken(r, next, *j.who, alias); err != nil {
			return err
		}
	}
	return nil
}
