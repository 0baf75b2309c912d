// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
)

// KnownMembers are those that a homeserver reads of a body on a path of ours, as it
// spells them. An unknown one is of no use, and inside credentials it is a 500
// on Synapse 1.0 to 1.3.1.
//
// A registration has no such list: modules of homeservers read members of their
// own there, and the next version of the specification may, too.
var KnownMembers = map[string][]string{
	route.TailPassword:   {"auth", "new_password", "logout_devices"},
	route.TailThreepid:   {"auth", AddSpellings[0], AddSpellings[1]},
	route.TailAdd:        {"auth", "sid", "client_secret"},
	route.TailDeactivate: {"auth", "erase", "id_server"},
}

// strangeAtRegistration are members that mean something elsewhere, and at a
// registration nothing that we would want to happen.
var strangeAtRegistration = slices.Concat(bindFlags, AddSpellings[:], ServerSpellings[:], []string{"sid", "client_secret", "clientSecret", "id_access_token"})

// bindFlags are those by which a legacy homeserver would publish an address through
// an identity server. It remembers the body of the first round.
var bindFlags = []string{"bind", "bind_email", "bind_msisdn"}

// Rebuild makes the body of a request anew of what we have read in it: no homeserver can
// find anything else there. On a path that is not ours, "auth" alone is, if it has changed.
func Rebuild(at route.Route, body, auth Object, changed bool) error {
	if !at.Owned() {
		if auth != nil && changed {
			body["auth"] = Encoded(auth)
		}
		return nil
	}
	if auth != nil {
		rebuilt, err := rebuiltAuth(auth)
		if err != nil {
			return err
		}
		body["auth"] = Encoded(rebuilt)
	}
	return rebuildBody(at, body)
}

func rebuildBody(at route.Route, body Object) error {
	switch {
	case at.Ancient():
		maps.DeleteFunc(body, isOneOf(slices.Concat(AddSpellings[:], bindFlags)))
		return rebuildCreds(body, UIASpellings)
	case at.Tail == route.TailRegister:
		maps.DeleteFunc(body, isOneOf(slices.Concat(strangeAtRegistration, UIASpellings[:])))
		return nil
	case at.Tail == route.TailAdd:
		creds, err := FlatCreds(body)
		if err != nil {
			return err
		}
		if creds.Secret != "" {
			body["client_secret"] = Encoded(creds.Secret) // under this name, if it came under the other
		}
	case at.Tail == route.TailThreepid:
		if err := rebuildCreds(body, AddSpellings); err != nil {
			return err
		}
	}
	known := isOneOf(KnownMembers[at.Tail])
	maps.DeleteFunc(body, func(key string, value json.RawMessage) bool { return !known(key, value) })
	return nil
}

// rebuiltAuth keeps of the two stages that take credentials what belongs to
// them. Other stages have members that we do not know, but no credentials.
func rebuiltAuth(auth Object) (Object, error) {
	rebuilt := maps.Clone(auth)
	if IsThreepidStage(auth) {
		keep := isOneOf([]string{"type", "session", UIASpellings[0], UIASpellings[1]})
		maps.DeleteFunc(rebuilt, func(key string, value json.RawMessage) bool { return !keep(key, value) })
		return rebuilt, rebuildCreds(rebuilt, UIASpellings)
	}
	maps.DeleteFunc(rebuilt, isOneOf(slices.Concat(UIASpellings[:], AddSpellings[:], ServerSpellings[:])))
	return rebuilt, nil
}

// rebuildCreds writes credentials anew, in both spellings of their container.
func rebuildCreds(holder Object, spellings [2]string) error {
	creds, err := CredsIn(holder, spellings)
	if err != nil || creds == nil {
		return err
	}
	rebuilt := Object{"sid": Encoded(creds.SID), "client_secret": Encoded(creds.Secret)}
	if creds.IDServer != "" {
		rebuilt["id_server"] = Encoded(creds.IDServer)
	}
	creds.Place(rebuilt)
	return nil
}

// isOneOf is a condition on members.
func isOneOf(names []string) func(string, json.RawMessage) bool {
	return func(key string, _ json.RawMessage) bool { return slices.Contains(names, key) }
}
