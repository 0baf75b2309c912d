// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
)

// knownMembers are those that a homeserver reads of a body on a path of ours, as it
// spells them. An unknown one is of no use, and inside credentials it is a 500
// on Synapse 1.0 to 1.3.1.
//
// A registration has no such list: modules of homeservers read members of their
// own there, and the next version of the specification may, too.
var knownMembers = map[string][]string{
	route.TailPassword:   {"auth", "new_password", "logout_devices"},
	route.TailThreepid:   {"auth", addSpellings[0], addSpellings[1]},
	route.TailAdd:        {"auth", "sid", "client_secret"},
	route.TailDeactivate: {"auth", "erase", "id_server"},
}

// strangeAtRegistration are members that mean something elsewhere, and at a
// registration nothing that we would want to happen.
var strangeAtRegistration = slices.Concat(bindFlags, addSpellings[:], serverSpellings[:], []string{"sid", "client_secret", "clientSecret", "id_access_token"})

// bindFlags are those by which a legacy homeserver would publish an address through
// an identity server. It remembers the body of the first round.
var bindFlags = []string{"bind", "bind_email", "bind_msisdn"}

// rebuild makes the body anew of what we have read in it: no homeserver can find
// anything else there. On a path that is not ours, "auth" alone is.
func (j *completion) rebuild() error {
	if !j.route.Owned() {
		if j.auth != nil && j.changed {
			j.body["auth"] = member(j.auth)
		}
		return nil
	}
	if j.auth != nil {
		auth, err := rebuiltAuth(j.auth)
		if err != nil {
			return err
		}
		j.body["auth"] = member(auth)
	}
	return j.rebuildBody()
}

func (j *completion) rebuildBody() error {
	switch {
	case j.route.Ancient():
		maps.DeleteFunc(j.body, isOneOf(slices.Concat(addSpellings[:], bindFlags)))
		return rebuildCreds(j.body, uiaSpellings)
	case j.route.Tail == route.TailRegister:
		maps.DeleteFunc(j.body, isOneOf(slices.Concat(strangeAtRegistration, uiaSpellings[:])))
		return nil
	case j.route.Tail == route.TailAdd:
		creds, err := flatCreds(j.body)
		if err != nil {
			return err
		}
		if creds.secret != "" {
			j.body["client_secret"] = member(creds.secret) // under this name, if it came under the other
		}
	case j.route.Tail == route.TailThreepid:
		if err := rebuildCreds(j.body, addSpellings); err != nil {
			return err
		}
	}
	known := isOneOf(knownMembers[j.route.Tail])
	maps.DeleteFunc(j.body, func(key string, value json.RawMessage) bool { return !known(key, value) })
	return nil
}

// rebuiltAuth keeps of the two stages that take credentials what belongs to
// them. Other stages have members that we do not know, but no credentials.
func rebuiltAuth(auth object) (object, error) {
	rebuilt := maps.Clone(auth)
	if isThreepidStage(auth) {
		keep := isOneOf([]string{"type", "session", uiaSpellings[0], uiaSpellings[1]})
		maps.DeleteFunc(rebuilt, func(key string, value json.RawMessage) bool { return !keep(key, value) })
		return rebuilt, rebuildCreds(rebuilt, uiaSpellings)
	}
	maps.DeleteFunc(rebuilt, isOneOf(slices.Concat(uiaSpellings[:], addSpellings[:], serverSpellings[:])))
	return rebuilt, nil
}

// rebuildCreds writes credentials anew, in both spellings of their container.
func rebuildCreds(holder object, spellings [2]string) error {
	creds, err := inContainer(holder, spellings)
	if err != nil || creds == nil {
		return err
	}
	rebuilt := object{"sid": member(creds.sid), "client_secret": member(creds.secret)}
	if creds.idServer != "" {
		rebuilt["id_server"] = member(creds.idServer)
	}
	creds.place(rebuilt)
	return nil
}

// isOneOf is a condition on members.
func isOneOf(names []string) func(string, json.RawMessage) bool {
	return func(key string, _ json.RawMessage) bool { return slices.Contains(names, key) }
}
