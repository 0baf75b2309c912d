// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// guardReset keeps one click from being worth a reset that it was not for. A
// legacy homeserver keeps the proof with its UIA session, whichever endpoint it
// was given at, and takes the session alone for a reset, any number of times.
// So a UIA session that was shown a live alias anywhere is noted, and passed on
// to the reset only together with a live alias.
func (j *completion) guardReset(ctx context.Context) error {
	if j.auth == nil {
		return nil
	}
	session, given, err := j.auth.text("session")
	if err != nil || !given {
		return nil // a session that is no string is the homeserver's to refuse
	}
	if j.live("") {
		if err := j.client.svc.Taint(ctx, session); err != nil {
			return err
		}
	}
	// The proof of an email stage replaces the one that is kept. A phone stage
	// would stand beside it, and its refusal would not stop the other.
	if j.route.tail != "account/password" || j.live(stageEmail) {
		return nil
	}
	tainted, err := j.client.svc.Tainted(ctx, session)
	if err != nil || !tainted {
		return err
	}
	delete(j.auth, "session")
	j.changed = true
	return nil
}

// live reports whether a live alias is shown, at a stage if one is named.
func (j *completion) live(stage string) bool {
	for i, a := range j.aliases {
		if a.Live && (stage == "" || j.stages[i] == stage) {
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
