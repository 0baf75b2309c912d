// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// hides reports whether an answer of the homeserver's is one that a client must
// not see: it would tell whether an account has the address (CS API,
// requestToken: the server may send a mail instead). M_THREEPID_DENIED is about
// the address alone, and is told.
func (c *Client) hides(purpose verification.Purpose, answer *wire.Answer) bool {
	if c.cfg.Reveal || answer.Status/100 != 4 {
		return false
	}
	telling := wire.CodeThreepidInUse
	if purpose == verification.Password {
		telling = wire.CodeThreepidNotFound
	}
	return wire.ErrcodeOf(answer) == telling
}

// discreet reports whether there are decoys, so that whoever has no token out of
// the mail is to be told nothing that they do not know, see ADR 25. The service has
// to be told with each request.
func (c *Config) discreet() bool { return c.Callback && !c.Reveal }

// early reports whether a limit has refused a request before the homeserver was
// asked: when that is answered tells nothing.
func early(err error) bool {
	kind := report.LimitOf(err)
	return kind != "" && kind != report.UnknownLimit
}
