// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// maxUIASession bounds the name of a session that is remembered, in bytes.
const maxUIASession = 255

// identify notes who asks for a token, for the limits. An access token is not
// looked at: to ask the homeserver whose it is would cost more than the limits
// save, and whoever makes tokens up is still counted by everything else.
func (c *Client) identify(r *http.Request, body wire.Object, req *verification.Request) {
	req.Client, req.Origin = c.cfg.clientAddr(r), c.cfg.originOf(r)
	req.Language, req.Brand = c.cfg.languageOf(r), c.cfg.brandOf(r)
	req.Domain = Registrable(req.Address) // a number has none
	if token, err := wire.AccessToken(r); err == nil {
		req.AccessToken = token
	}
	req.Granting, req.LoggedIn = c.cfg.Callback, c.visited(*req)
	if req.Purpose == threepid.Register {
		// A registration in the names of the homeserver, as in what it answers.
		opened, _ := c.svc.OpenConversation(uiaSession(linkOf(body)), registrationEndpoint)
		req.UIA = opened.Session // empty if there is none
	}
}

// Registrable is the domain that somebody has registered, to which the domain of
// a canonical address belongs: whoever has it can make up any number of names
// below it. A name that nobody can register stands for itself.
func Registrable(canonical string) string {
	_, domain, _ := strings.Cut(canonical, "@")
	if registered, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return registered
	}
	return domain
}

// uiaSession is the session of a registration that a client names. No field of
// requestToken is for that, but Element's next_link leads back to the
// registration and has its session as "session_id", in the query or in the
// query of the fragment: ".../#/register?...&session_id=...". The link is read for
// that whether or not anybody will follow it.
func uiaSession(nextLink string) threepid.SealedUIASession {
	u, err := url.Parse(nextLink)
	if err != nil {
		return ""
	}
	_, fragment, _ := strings.Cut(u.Fragment, "?")
	var found string
	for _, raw := range []string{u.RawQuery, fragment} {
		values, err := url.ParseQuery(raw)
		if err != nil {
			continue
		}
		for _, key := range []string{"session_id", "session"} {
			for _, v := range values[key] {
				if v == "" || (found != "" && found != v) {
					return "" // it is not clear which one is meant
				}
				found = v
			}
		}
	}
	return threepid.SealedUIASession(found)
}
