// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// deliveries are the words for what became of a message. Of what nobody knows
// nothing is said.
var deliveries = map[verification.DeliveryState]string{
	verification.Waiting:    "waiting",
	verification.Deferred:   "delayed",
	verification.Delivered:  "sent",
	verification.Arrived:    "arrived",
	verification.Bounced:    "bounced",
	verification.Failed:     "failed",
	verification.Complained: "suspended",
}

// helpPage says why no message has arrived. It gives the same advice to
// everybody; what became of the message is told to those who know its session,
// where there are no decoys: of them it could not be told (ADR 25).
func (p *people) helpPage(call *wire.Call, sub verification.Submission) (int, error) {
	v, err := p.helpView(call.R, sub)
	if err != nil && wire.ErrorOf(wire.SubmitError(err)).Status >= http.StatusInternalServerError {
		return p.failedPage(call, err)
	}
	return p.show(call, v)
}

// helpView looks at a session without its token, which is what has not arrived:
// the sid of a session with a code says enough, one with a link needs the
// client_secret, too.
func (p *people) helpView(r *http.Request, sub verification.Submission) (web.View, error) {
	v := web.View{State: web.Help, Brand: p.cfg.brandOf(r), Phone: route.MediumOf(r.URL.Path) == threepid.MSISDN}
	found, err := p.svc.Inspect(r.Context(), sub)
	switch {
	case err == nil, errors.Is(err, verification.ErrTokenIncorrect) && sub.ClientSecret != nil:
		v = viewOf(found, web.Help)
		v.Delivery = deliveries[found.Delivery]
	case errors.Is(err, verification.ErrExpired):
		v.Delivery = "none"
	}
	return v, err
}
