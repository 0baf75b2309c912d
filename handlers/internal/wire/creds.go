// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"regexp"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The stages whose credentials are a validation session (CS API, "Email-based
// (identity / homeserver)" and "Phone number/MSISDN-based").
const (
	StageEmail  = "m.login.email.identity"
	StageMSISDN = "m.login.msisdn"
)

// Both spellings of each container, the one of the specification first. r0.x
// wrote the UIA one in camel case, clients send either or both, homeservers
// read one or the other.
var (
	UIASpellings = [2]string{"threepid_creds", "threepidCreds"}
	AddSpellings = [2]string{"three_pid_creds", "threePidCreds"}
)

// Credentials is one place in a request where a session is used.
type Credentials struct {
	SID, Secret string
	IDServer    string
	Purpose     verification.Purpose
	Stage       string // of UIA; empty elsewhere
	UIASession  string
	// Place writes new credentials in its place.
	Place func(creds Object)
}

// CredsIn reads the credentials of a container in either spelling, as an
// object or as the one-element array of the r0.x text. It returns nil when
// there is none.
func CredsIn(holder Object, spellings [2]string) (*Credentials, error) {
	var found *Credentials
	for _, key := range spellings {
		if holder.Null(key) {
			continue
		}
		creds, err := readCreds(holder[key])
		if err != nil {
			return nil, err
		}
		if found != nil && (found.SID != creds.SID || found.Secret != creds.Secret) {
			// One of them would be checked here and the other used there.
			return nil, BadRequest(CodeInvalidParam, "'"+spellings[0]+"' and '"+spellings[1]+"' differ")
		}
		if found != nil && creds.IDServer == "" {
			creds.IDServer = found.IDServer
		}
		found = creds
	}
	if found != nil {
		found.Place = func(creds Object) {
			for _, key := range spellings {
				holder[key] = Encoded(creds)
			}
		}
	}
	return found, nil
}

// readCreds reads {sid, client_secret, id_server} in both spellings.
func readCreds(raw json.RawMessage) (*Credentials, error) {
	if bytes.HasPrefix(raw, []byte("[")) {
		var list []json.RawMessage
		if _ = json.Unmarshal(raw, &list); len(list) != 1 { // it is valid JSON
			return nil, BadRequest(CodeInvalidParam, "Credentials must be one object")
		}
		raw = list[0]
	}
	var o Object
	if _ = json.Unmarshal(raw, &o); o == nil { // another value is none
		return nil, BadRequest(CodeInvalidParam, "Credentials must be an object")
	}
	return FlatCreds(o)
}

// FlatCreds reads credentials that are members of an object themselves.
func FlatCreds(o Object) (*Credentials, error) {
	var c Credentials
	for _, f := range []struct {
		to   *string
		keys []string
	}{
		{&c.SID, []string{"sid"}},
		{&c.Secret, []string{"client_secret", "clientSecret"}},
		{&c.IDServer, ServerSpellings[:]},
	} {
		for _, key := range f.keys {
			value, ok, err := o.Text(key)
			if err != nil {
				return nil, err
			}
			if ok && *f.to != "" && *f.to != value {
				return nil, BadRequest(CodeInvalidParam, "'"+f.keys[0]+"' is given twice")
			}
			if ok {
				*f.to = value
			}
		}
	}
	return &c, nil
}

// StageCreds reads the credentials of a UIA stage out of an auth dict. It
// returns nil when the stage is another one.
func StageCreds(auth Object) (*Credentials, error) {
	if !IsThreepidStage(auth) {
		return nil, nil // a type that is no string is the homeserver's to refuse
	}
	creds, err := CredsIn(auth, UIASpellings)
	if err != nil || creds == nil {
		return nil, err
	}
	creds.Stage, _, _ = auth.Text("type")
	creds.UIASession, _, _ = auth.Text("session")
	return creds, nil
}

// NameUser spells the user of a password stage as r0.x did. Homeservers of then
// read only that, clients of today write only identifier.
func NameUser(auth Object) {
	if stage, _, _ := auth.Text("type"); stage != StagePassword || !auth.Null("user") {
		return
	}
	var identifier Object
	_ = json.Unmarshal(auth["identifier"], &identifier) // what is no object has no type
	if kind, _, _ := identifier.Text("type"); kind == "m.id.user" && !identifier.Null("user") {
		auth["user"] = identifier["user"]
	}
}

// ServerSpellings are those of the identity server in credentials. Synapse reads
// the first one that is there, whatever it is.
var ServerSpellings = [2]string{"id_server", "idServer"}

// IsThreepidStage reports whether an auth dict is one of the stages that take
// credentials.
func IsThreepidStage(auth Object) bool {
	stage, _, _ := auth.Text("type") // one that is no text is another one
	return stage == StageEmail || stage == StageMSISDN
}

// The other stages that are looked at (CS API, "Authentication types").
const (
	StagePassword = "m.login.password"
	StageDummy    = "m.login.dummy"
)

// ClientSecretForm is the grammar of client_secret (IS API, "Establishing
// associations"). The apostrophes in the examples of MSC2290 are a slip.
var ClientSecretForm = regexp.MustCompile(`^[0-9a-zA-Z.=_-]{1,255}$`)
