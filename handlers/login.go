// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Who logs in by an address has to spell it as the homeserver does, and nobody knows
// how that is. So an address that has another spelling than the one which was typed
// is replaced. Everything else about logging in is the homeserver's alone: a body in
// which nothing is to be replaced, or that can be read in two ways, goes on as it came,
// and no password is looked at.

// maxLogins bounds how many spellings are tried with one password where the homeserver
// cannot be asked for them. It counts each try, and by default grants three at once
// (Synapse, rc_login).
const maxLogins = 3

// login is a log-in by an address that has more than one spelling, or another one than
// was typed.
type login struct {
	client *Client
	body   wire.Object
	// holder has the address: the body, or what is its "identifier".
	holder    wire.Object
	spellings []string
}

// loginOf returns nil for what is to go on as it came.
func (c *Client) loginOf(call *wire.Call) *login {
	if call.R.Method != http.MethodPost || call.Route.Tail != route.TailLogin || !wire.MaySay(call.Raw, "address") {
		return nil
	}
	body, _ := wire.ParseObject(call.Raw) // in what can be read in two ways there is nothing
	if kind, _, _ := body.Text("type"); kind != wire.StagePassword {
		return nil // its token is good for one try, or says by itself whose it is
	}
	holder := thirdParty(body)
	medium, _, _ := holder.Text("medium")
	typed, _, _ := holder.Text("address")
	if medium != string(verification.Email) {
		return nil
	}
	all := address.Spellings(input.Address(typed), hsapi.Canonical(verification.Email, typed))
	if len(all) == 0 || len(all) == 1 && all[0] == typed {
		return nil
	}
	return &login{c, body, holder, all}
}

// thirdParty returns what has the medium and the address by which a user is named in a
// log-in, or in a password stage: the members of before r0.4 count first.
func thirdParty(body wire.Object) wire.Object {
	if !body.Null("medium") && !body.Null("address") {
		return body
	}
	var identifier wire.Object
	if json.Unmarshal(body["identifier"], &identifier) != nil {
		return nil
	}
	if kind, _, err := identifier.Text("type"); err != nil || kind != "m.id.thirdparty" {
		return nil
	}
	return identifier
}

// run logs in by the spelling that the homeserver has. Where there are several, the
// password says whose it is.
func (l *login) run(call *wire.Call) (int, error) {
	spellings := l.choose(call)
	if len(spellings) == 0 {
		return call.PassOn() // not an address that it has; somebody behind it may know it
	}
	var answer *wire.Answer
	for _, spelling := range spellings {
		var err error
		if answer, err = l.try(call, spelling); err != nil {
			return 0, wire.UpstreamFailure(err)
		}
		if answer.Status != http.StatusForbidden {
			break
		}
	}
	return call.Respond(answer)
}

// choose finds the spellings to try. The homeserver is asked for them where it can be,
// so that a password is tried once for each account that has the address, and no more.
func (l *login) choose(call *wire.Call) []string {
	if len(l.spellings) == 1 {
		return l.spellings
	}
	if may, err := l.client.hs.MayProbe(call); err == nil && may {
		if known, err := l.client.hs.KnownSpellings(call, l.spellings); err == nil {
			return known
		}
	}
	return l.spellings[:min(len(l.spellings), maxLogins)]
}

func (l *login) try(call *wire.Call, spelling string) (*wire.Answer, error) {
	body := maps.Clone(l.body)
	if body.Null("medium") || body.Null("address") {
		identifier := maps.Clone(l.holder)
		identifier["address"] = wire.Encoded(spelling)
		body["identifier"] = wire.Encoded(identifier)
	} else {
		body["address"] = wire.Encoded(spelling)
	}
	return call.Exchange(call.R.URL.Path, body.Encode())
}
