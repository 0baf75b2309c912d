// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// failedPage tells a person what went wrong.
func (c *Client) failedPage(call *wire.Call, err error) (int, error) {
	verdict := wire.ErrorOf(wire.SubmitError(err))
	v := web.View{State: failure(err, verdict), Brand: c.cfg.brandOf(call.R), Phone: route.MediumOf(call.R.URL.Path) == verification.MSISDN, Wait: verdict.RetryAfter}
	verdict.SetRetryAfter(call.W.Header())
	if v.State == web.Invalid {
		v.Help = route.PagePath(route.MediumOf(call.R.URL.Path)) + "?help=1"
	}
	return c.showFailure(call, verdict, v)
}

// failure is the page about what went wrong.
func failure(err error, verdict *wire.MatrixError) web.State {
	switch {
	case errors.Is(err, verification.ErrExpired):
		return web.Expired
	case errors.Is(err, verification.ErrRevoked):
		return web.Revoked
	case verdict.RetryAfter > 0:
		return web.Busy // a matter of time, not of the link
	case verdict.Status < http.StatusInternalServerError:
		return web.Invalid
	}
	return web.Failed
}
