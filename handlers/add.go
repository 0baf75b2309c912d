// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// add serves /account/3pid/add (MSC2290). A homeserver that has it asks for
// the password itself. One that has not gets the address through its
// /account/3pid, which asks for nothing, so the asking is ours.
func (c *Client) add(call *wire.Call) (int, error) {
	if call.R.Method != http.MethodPost {
		return c.complete(call)
	}
	raw, err := call.Body()
	if err != nil {
		return 0, err
	}
	body, err := wire.ParseObject(raw)
	if err != nil {
		return 0, err
	}
	if err := c.confirmed(call, body); err != nil {
		return 0, err
	}
	version, err := c.hs.Has(call, call.Route.Tail)
	if err != nil {
		return 0, err
	}
	if version != "" {
		call.Route.Version = version
		call.R.Body = io.NopCloser(bytes.NewReader(raw))
		return c.complete(call)
	}
	return c.addHere(call, body)
}

var errUnconfirmed = wire.Saying(http.StatusBadRequest, wire.CodeThreepidAuthFailed, wire.SayUnconfirmed, "The address is not confirmed yet")

// confirmed refuses a request that does not authenticate yet, if its address is not
// confirmed: the password would be asked for in vain, and clients say after this
// answer, and no other, that the message has to be read first (docs/clients.md). A
// token that is not known is told first: clients have to log in again then.
func (c *Client) confirmed(call *wire.Call, body wire.Object) error {
	creds, err := wire.FlatCreds(body)
	if err != nil || !body.Null("auth") {
		return nil // whoever goes on with it says what is wrong
	}
	ready, err := c.svc.Ready(call.R.Context(), verification.Completion{
		SID: creds.SID, ClientSecret: creds.Secret, Purpose: threepid.Add,
	})
	if ready || errors.Is(err, verification.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := c.hs.Whoami(call); err != nil {
		return err
	}
	return errUnconfirmed
}

// addHere authenticates the user and translates the request.
func (c *Client) addHere(call *wire.Call, body wire.Object) (int, error) {
	auth, err := c.judged(call, body)
	if err != nil {
		return 0, err
	}
	creds, err := addCreds(body)
	if err != nil {
		return 0, err
	}
	who, err := c.hs.Whoami(call)
	if err != nil {
		return 0, err
	}
	ready, err := c.svc.Ready(call.R.Context(), verification.Completion{
		SID: creds.SID, ClientSecret: creds.Secret, Purpose: threepid.Add,
	})
	if err != nil && !errors.Is(err, verification.ErrNoSession) {
		return 0, err
	}
	at := call.Route
	at.Tail, at.Version = route.TailThreepid, c.cfg.UpstreamVersion
	shown := &credential{Credentials: creds}
	j := &completion{client: c, call: call.At(at), body: wire.Object{}, who: who, credentials: []*credential{shown}, changed: true}
	creds.Place = func(creds wire.Object) {
		for _, key := range wire.AddSpellings {
			j.body[key] = wire.Encoded(creds)
		}
	}
	if err == nil && !ready {
		// Nothing to add yet: a proof of the user's would be used up in vain.
		j.replace(shown, c.svc.DeadAlias())
	} else {
		creds.Place(wire.Object{"sid": wire.Encoded(creds.SID), "client_secret": wire.Encoded(creds.Secret)})
		j.confirmation = &authentication{client: c, who: who, operation: "add " + string(creds.SID) + " " + string(creds.Secret), auth: auth}
	}
	return j.run(c.hs.Path(at))
}

// addCreds reads the credentials of such a request, which are members of its body.
func addCreds(body wire.Object) (*wire.Credentials, error) {
	creds, err := wire.FlatCreds(body)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ key, value string }{{"sid", string(creds.SID)}, {"client_secret", string(creds.Secret)}} {
		if f.value == "" {
			return nil, wire.BadRequest(wire.CodeMissingParam, "Missing params: ['"+f.key+"']")
		}
	}
	creds.Purpose = threepid.Add
	return creds, nil
}

// judged returns the "auth" of a request of whose identity servers none is a
// foreign one.
func (c *Client) judged(call *wire.Call, body wire.Object) (auth wire.Object, err error) {
	if !body.Null("auth") && json.Unmarshal(body["auth"], &auth) != nil {
		return nil, wire.BadRequest(wire.CodeBadJSON, "'auth' must be an object")
	}
	return auth, (&completion{client: c, call: call, body: body, auth: auth}).judgeServers()
}
