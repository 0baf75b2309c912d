// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// askedOf is what a page says of the request that its link is from. Only whoever
// has the link may see it: to the client it would tell that somebody else has
// asked for the same address.
func (c *Client) askedOf(r *http.Request, sub verification.Submission, found verification.Confirmed) web.Asked {
	origin := words.OriginOf(found)
	// Should the store fail, the page says less; confirming will fail, too.
	another, err := c.svc.Another(r.Context(), sub.SID, found)
	return web.Asked{Made: origin.Made, App: origin.App, Network: origin.Network, Another: another && err == nil}
}
