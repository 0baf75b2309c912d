// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// credential is what a request shows of one session: where it stands, what it names, and
// what the homeserver is shown in its place.
type credential struct {
	*wire.Credentials
	// alias is nil where the credentials are left as they are.
	alias *verification.Alias
}

// live reports whether it proves something.
func (c *credential) live() bool { return c.alias != nil && c.alias.Live }

// adds reports whether an account is to get the address, and not a stage to be completed.
func (c *credential) adds() bool { return c.Stage == "" }

// live are the credentials that prove something.
func (j *completion) live() (all []*credential) {
	for _, c := range j.credentials {
		if c.live() {
			all = append(all, c)
		}
	}
	return all
}

// asked are those of them that the homeserver has asked about, once they are settled. By
// any other it can have done nothing.
func (j *completion) asked() []*credential {
	return slices.DeleteFunc(j.live(), func(c *credential) bool { return c.alias.Unasked })
}

// read finds the credentials of a path in the route table.
func (j *completion) read() error {
	if err := j.readAuth(); err != nil {
		return err
	}
	var creds *wire.Credentials
	var err error
	switch at := j.call.Route; {
	case at.Tail == route.TailThreepid:
		creds, err = wire.CredsIn(j.body, wire.AddSpellings)
	case at.Kind == route.KindAdd:
		if creds, err = wire.FlatCreds(j.body); err == nil {
			creds.Place = j.placeFlat
		}
	case at.Ancient():
		// The ancient API: the whole body is the auth dict.
		creds, err = wire.StageCreds(j.body)
	}
	j.shows(creds, j.call.Route.Purpose)
	return err
}

func (j *completion) placeFlat(creds wire.Object) {
	delete(j.body, "clientSecret")
	j.body["sid"], j.body["client_secret"] = creds["sid"], creds["client_secret"]
}

// readAuth finds those of a stage.
func (j *completion) readAuth() error {
	_ = json.Unmarshal(j.body["auth"], &j.auth) // what is not an object is the homeserver's to refuse
	if err := j.judgeServers(); err != nil {
		return err
	}
	wire.NameUser(j.auth)
	creds, err := wire.StageCreds(j.auth)
	j.shows(creds, j.call.Route.ProofPurpose())
	return err
}

// shows notes credentials, if there are any.
func (j *completion) shows(creds *wire.Credentials, purpose threepid.Purpose) {
	if creds == nil || creds.SID == "" {
		return
	}
	creds.Purpose = purpose
	j.credentials = append(j.credentials, &credential{Credentials: creds})
}

// claim claims the session of one credential, or decides to leave it alone.
func (j *completion) claim(ctx context.Context, c *credential) error {
	svc := j.client.svc
	if c.alias != nil {
		return nil // it is known that there is nothing to claim
	}
	alias, err := svc.Claim(ctx, verification.Completion{
		SID: c.SID, ClientSecret: c.Secret, Purpose: c.Purpose, UIASession: c.UIASession,
		Client: j.client.cfg.clientAddr(j.call.R),
	})
	switch {
	case err == nil:
		j.replace(c, alias)
		return nil
	case !errors.Is(err, verification.ErrNoSession):
		return err
	case c.IDServer == j.client.cfg.IdentityName:
		// It names us, and we do not know it.
		j.replace(c, svc.DeadAlias())
		return nil
	case c.IDServer != "":
		return nil // one that is allowed, see judgeServers
	}
	nonce, err := svc.Adopted(ctx, c.SID, c.Secret, c.Purpose)
	if errors.Is(err, verification.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	c.Place(wire.Object{"sid": wire.Encoded(c.SID), "client_secret": wire.Encoded(nonce)})
	j.changed = true
	return nil
}

// replace shows the homeserver an alias in the place of a credential.
func (j *completion) replace(c *credential, alias *verification.Alias) {
	j.changed = true
	if alias.Replayed && j.auth != nil {
		// The homeserver has this stage already; it cannot be done twice, but
		// the session alone continues (CS API, "Completed stages").
		j.auth = wire.Object{"session": j.auth["session"]}
		return
	}
	c.Place(wire.Object{
		"sid": wire.Encoded(alias.SID), "client_secret": wire.Encoded(alias.ClientSecret),
		"id_server": wire.Encoded(j.client.cfg.IdentityName),
	})
	c.alias = alias
}
