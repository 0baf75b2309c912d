// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

var (
	errNotTrusted = wire.BadRequest(wire.CodeServerNotTrusted, "Identity server is not trusted by this homeserver")
	errTwoServers = wire.BadRequest(wire.CodeInvalidParam, "Credentials name two identity servers")
)

// named are credentials in which an identity server may be named.
type named struct {
	creds wire.Object
	// used says that they are what is resolved, if their sid is one of ours.
	used bool
}

// judgeServers refuses credentials of an identity server that is neither ours
// nor allowed, before anything is made of them: in whatever container and
// spelling, at whatever stage of the authentication, and beside whatever sid. A
// homeserver that trusts everybody, or one server more than we know of, would
// ask it; it may look where we do not, and need no sid at all.
//
// Only beside a sid of ours the name counts for nothing: it is not passed on, and
// clients of before MSC2263 write it, which asks for "the value being ignored".
func (j *completion) judgeServers() error {
	seen, foreign := "", false
	for _, n := range j.naming() {
		for _, key := range wire.ServerSpellings {
			server, _, err := n.creds.Text(key)
			if err != nil {
				return err
			}
			if server == "" {
				continue
			}
			foreign = foreign || !j.client.trusts(server)
			sid, _, _ := n.creds.Text("sid") // one that is no text is not of ours
			switch {
			case foreign && (!n.used || !j.client.svc.Owns(threepid.SID(sid))):
				return errNotTrusted
			case seen != "" && seen != server:
				return errTwoServers
			}
			seen = server
		}
	}
	return nil
}

// trusts reports whether credentials may name an identity server.
func (c *Client) trusts(server string) bool {
	return server == c.cfg.IdentityName || slices.Contains(c.cfg.TrustedIDServers, server)
}

// naming lists all places where a homeserver might look for credentials. Beside
// "auth", only a body on a path of ours has any.
func (j *completion) naming() []named {
	all := append([]named{{j.auth, false}}, in(j.auth, wire.UIASpellings, wire.IsThreepidStage(j.auth))...)
	all = append(all, in(j.auth, wire.AddSpellings, false)...)
	if !j.call.Route.Owned() {
		return all
	}
	all = append(all, in(j.body, wire.AddSpellings, j.call.Route.Tail == route.TailThreepid)...)
	all = append(all, in(j.body, wire.UIASpellings, j.call.Route.Ancient() && wire.IsThreepidStage(j.body))...)
	if j.call.Route.Kind == route.KindAdd {
		all = append(all, named{j.body, true})
	}
	return all
}

// in finds the credentials in a container, an array of any length included.
func in(holder wire.Object, spellings [2]string, used bool) (all []named) {
	for _, key := range spellings {
		var list []json.RawMessage
		if json.Unmarshal(holder[key], &list) != nil {
			list = append(list, holder[key]) // it is no array
		}
		for _, one := range list {
			var creds wire.Object
			_ = json.Unmarshal(one, &creds) // what is no object names none
			all = append(all, named{creds, used})
		}
	}
	return all
}
