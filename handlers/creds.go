// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The stages whose credentials are a validation session (CS API, "Email-based
// (identity / homeserver)" and "Phone number/MSISDN-based").
const (
	stageEmail  = "m.login.email.identity"
	stageMSISDN = "m.login.msisdn"
)

// Both spellings of each container, the one of the specification first. r0.x
// wrote the UIA one in camel case, clients send either or both, homeservers
// read one or the other.
var (
	uiaSpellings = [2]string{"threepid_creds", "threepidCreds"}
	addSpellings = [2]string{"three_pid_creds", "threePidCreds"}
)

// credentials is one place in a request where a session is used.
type credentials struct {
	sid, secret string
	idServer    string
	purpose     verification.Purpose
	stage       string // of UIA; empty elsewhere
	uiaSession  string
	// place writes new credentials in its place.
	place func(creds object)
}

// inContainer reads the credentials of a container in either spelling, as an
// object or as the one-element array of the r0.x text. It returns nil when
// there is none.
func inContainer(holder object, spellings [2]string) (*credentials, error) {
	var found *credentials
	for _, key := range spellings {
		if holder.null(key) {
			continue
		}
		creds, err := readCreds(holder[key])
		if err != nil {
			return nil, err
		}
		if found != nil && (found.sid != creds.sid || found.secret != creds.secret) {
			// One of them would be checked here and the other used there.
			return nil, badRequest(codeInvalidParam, "'"+spellings[0]+"' and '"+spellings[1]+"' differ")
		}
		if found != nil && creds.idServer == "" {
			creds.idServer = found.idServer
		}
		found = creds
	}
	if found != nil {
		found.place = func(creds object) {
			for _, key := range spellings {
				holder[key] = member(creds)
			}
		}
	}
	return found, nil
}

// readCreds reads {sid, client_secret, id_server} in both spellings.
func readCreds(raw json.RawMessage) (*credentials, error) {
	if bytes.HasPrefix(raw, []byte("[")) {
		var list []json.RawMessage
		if _ = json.Unmarshal(raw, &list); len(list) != 1 { // it is valid JSON
			return nil, badRequest(codeInvalidParam, "Credentials must be one object")
		}
		raw = list[0]
	}
	var o object
	if _ = json.Unmarshal(raw, &o); o == nil { // another value is none
		return nil, badRequest(codeInvalidParam, "Credentials must be an object")
	}
	return flatCreds(o)
}

// flatCreds reads credentials that are members of an object themselves.
func flatCreds(o object) (*credentials, error) {
	var c credentials
	for _, f := range []struct {
		to   *string
		keys []string
	}{
		{&c.sid, []string{"sid"}},
		{&c.secret, []string{"client_secret", "clientSecret"}},
		{&c.idServer, serverSpellings[:]},
	} {
		for _, key := range f.keys {
			value, ok, err := o.text(key)
			if err != nil {
				return nil, err
			}
			if ok && *f.to != "" && *f.to != value {
				return nil, badRequest(codeInvalidParam, "'"+f.keys[0]+"' is given twice")
			}
			if ok {
				*f.to = value
			}
		}
	}
	return &c, nil
}

// uiaCreds reads the credentials of a UIA stage out of an auth dict. It
// returns nil when the stage is another one.
func uiaCreds(auth object) (*credentials, error) {
	if !isThreepidStage(auth) {
		return nil, nil // a type that is no string is the homeserver's to refuse
	}
	creds, err := inContainer(auth, uiaSpellings)
	if err != nil || creds == nil {
		return nil, err
	}
	creds.stage, _, _ = auth.text("type")
	creds.uiaSession, _, _ = auth.text("session")
	return creds, nil
}

// nameUser spells the user of a password stage as r0.x did. Homeservers of then
// read only that, clients of today write only identifier.
func nameUser(auth object) {
	if stage, _, _ := auth.text("type"); stage != stagePassword || !auth.null("user") {
		return
	}
	var identifier object
	_ = json.Unmarshal(auth["identifier"], &identifier) // what is no object has no type
	if kind, _, _ := identifier.text("type"); kind == "m.id.user" && !identifier.null("user") {
		auth["user"] = identifier["user"]
	}
}
