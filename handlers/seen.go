// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// aftermath are the pages that a form leads to. What passes by itself is no such page,
// nor is one with a form for the same token: to send the form again is harmless then.
var aftermath = []web.State{
	web.Done, web.Already, web.Wrong, web.Expired, web.Revoked, web.Invalid, web.Refused,
}

// sendOn answers a form by the address of the page that says what became of it (RFC
// 9110, 15.4.4). The browser keeps that in its history, and not the form, so that
// going back, going forward and reloading do not ask whether to send it again. The
// verdict on a form that has failed is reported here.
func (p *people) sendOn(w http.ResponseWriter, to seen, verdict *wire.MatrixError) (int, error) {
	name := string(to.state) + "." + p.pressCheck().Nonce(web.First, to.about())
	query := web.Query("sid", to.sid, web.SeenField, name)
	web.Headers(w.Header())
	w.Header().Set("Location", to.path+"?"+query)
	w.WriteHeader(http.StatusSeeOther)
	if verdict != nil {
		return 0, &rendered{verdict}
	}
	return http.StatusSeeOther, nil
}

// seen is the page that such an address names.
type seen struct {
	path  string
	state web.State
	sid   string
}

// about is what its seal is about.
func (s seen) about() string {
	return "seen\x00" + s.path + "\x00" + string(s.state) + "\x00" + s.sid
}

// seenOf is the page that an address says, or empty.
func (p *people) seenOf(path string, query url.Values) web.State {
	name, seal, _ := strings.Cut(query.Get(web.SeenField), ".")
	state := web.State(name)
	if !slices.Contains(aftermath, state) || !p.pressCheck().Sealed(seal, seen{path, state, query.Get("sid")}.about()) {
		return ""
	}
	return state
}

// sendToPage is sendOn for the page of a link.
func (p *people) sendToPage(call *wire.Call, sub verification.Submission, state web.State, verdict *wire.MatrixError) (int, error) {
	return p.sendOn(call.W, seen{route.PagePath(route.MediumOf(call.R.URL.Path)), state, sub.SID}, verdict)
}

// failedForm tells a person what went wrong with a form.
func (p *people) failedForm(call *wire.Call, sub verification.Submission, err error) (int, error) {
	verdict := wire.ErrorOf(wire.SubmitError(err))
	if state := failure(err, verdict); verdicts[state] != nil {
		return p.sendToPage(call, sub, state, verdict)
	}
	return p.failedPage(call, err)
}

// verdicts are what pages about a failure that stays stand for.
var verdicts = map[web.State]error{
	web.Expired: verification.ErrExpired, web.Revoked: verification.ErrRevoked, web.Invalid: verification.ErrNoSession,
}

// seenPage is the page of a link after its form.
func (p *people) seenPage(call *wire.Call, sub verification.Submission, state web.State) (int, error) {
	if failed := verdicts[state]; failed != nil {
		return p.failedPage(call, failed)
	}
	if state == web.Wrong {
		return p.wrongPage(call, sub)
	}
	found, err := p.svc.Recall(call.R.Context(), sub.SID)
	if err != nil || !found.Already {
		return p.asThingsStand(call, sub)
	}
	return p.confirmedPage(call, sub, found, state)
}

// confirmedPage says that an address is confirmed to somebody who has proven to
// know it, and where they go on.
func (p *people) confirmedPage(call *wire.Call, sub verification.Submission, found verification.Confirmed, state web.State) (int, error) {
	v := viewOf(found, state)
	v.Address, v.Next = shown(found), p.wayOn(found, sub.SID)
	return p.show(call, v)
}

// failedPage tells a person what went wrong.
func (p *people) failedPage(call *wire.Call, err error) (int, error) {
	verdict := wire.ErrorOf(wire.SubmitError(err))
	v := web.View{State: failure(err, verdict), Brand: p.cfg.brandOf(call.R), Phone: route.MediumOf(call.R.URL.Path) == verification.MSISDN, Wait: verdict.RetryAfter}
	verdict.SetRetryAfter(call.W.Header())
	if v.State == web.Invalid {
		v.Help = route.PagePath(route.MediumOf(call.R.URL.Path)) + "?help=1"
	}
	return p.showFailure(call, verdict, v)
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
