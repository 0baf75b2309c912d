// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// refuse serves RefusePath: a page that asks (GET), its button (POST of a
// form), and the button of a mail program, which posts without a page (RFC
// 8058). There is no CORS: no script has business here.
func (c *Client) refuse(call *wire.Call) error {
	switch call.R.Method {
	case http.MethodGet, http.MethodHead:
		return c.observed(call, "refuse_page", func() (int, error) {
			return c.people.showRefusal(call)
		})
	case http.MethodPost:
		return c.observed(call, string(route.KindRefuse), func() (int, error) {
			values, err := refusalForm(call)
			if err != nil {
				return c.people.failedPage(call, err)
			}
			if values.Get("List-Unsubscribe") == "One-Click" {
				return c.people.refuseAtOnce(call)
			}
			return c.people.confirmRefusal(call, values)
		})
	}
	return c.observed(call, string(route.KindRefuse), func() (int, error) {
		web.Headers(call.W.Header())
		call.W.Header().Set("Allow", "GET, HEAD, POST")
		if ForPerson(call.R) {
			return c.people.failedPage(call, wire.Unrecognized(http.StatusMethodNotAllowed))
		}
		call.W.WriteHeader(http.StatusMethodNotAllowed)
		return 0, &rendered{wire.Unrecognized(http.StatusMethodNotAllowed)}
	})
}

// showRefusal asks, and changes nothing: mail scanners follow this link, too.
func (p *people) showRefusal(call *wire.Call) (int, error) {
	sid, refusal := refusalOf(call.R.URL.Query())
	if seen := p.seenOf(route.RefusePath, call.R.URL.Query()); seen != "" {
		found, err := p.svc.Recall(call.R.Context(), sid)
		if err != nil {
			return p.failedRefusal(call, err)
		}
		return p.show(call, viewOf(found, seen))
	}
	found, err := p.svc.InspectRefusal(call.R.Context(), sid, refusal)
	if err != nil {
		return p.failedRefusal(call, err)
	}
	return p.show(call, p.refusalView(found, sid, refusal, web.First))
}

// refusalView is the page that asks, or that says it is done already.
func (p *people) refusalView(found verification.Confirmed, sid, refusal string, press web.Press) web.View {
	if found.State == verification.Revoked {
		return viewOf(found, web.Refused)
	}
	v := viewOf(found, web.Refuse)
	if press == web.Second {
		v.State = web.Insist
	}
	v.Action = route.RefusePath
	v.Fields = []web.Field{
		{Name: "sid", Value: sid},
		{Name: "refusal", Value: refusal},
		{Name: "nonce", Value: p.pressCheck().Nonce(press, aboutRefusal(sid, refusal))},
	}
	return v
}

// confirmRefusal is the button of that page. It is as hard to press for a
// program as the other one: a scanner that refused would keep mail from its own
// users for a day.
func (p *people) confirmRefusal(call *wire.Call, values url.Values) (int, error) {
	sid, refusal := refusalOf(values)
	found, err := p.svc.InspectRefusal(call.R.Context(), sid, refusal)
	if err != nil {
		return p.failedRefusal(call, err)
	}
	if !p.pressCheck().Human(call.R, values.Get("nonce"), aboutRefusal(sid, refusal)) {
		if found.State == verification.Revoked { // the same form again
			return p.sendOn(call.W, seen{route.RefusePath, web.Refused, sid}, nil)
		}
		again := p.refusalView(found, sid, refusal, web.Second)
		again.Everybody = everybody(values)
		return p.showFailure(call, errMachine, again)
	}
	state := web.Refused
	switch err := p.svc.Refuse(call.R.Context(), sid, refusal, everybody(values)); {
	case errors.Is(err, verification.ErrConsumed):
		state = web.Already // it cannot be taken back, and saying that it was stopped would be a lie
	case err != nil:
		return p.failedRefusal(call, err)
	}
	return p.sendOn(call.W, seen{route.RefusePath, state, sid}, nil)
}

// aboutRefusal is what the nonce of that page is about.
func aboutRefusal(sid, refusal string) string { return "refuse\x00" + sid + "\x00" + refusal }

// refuseAtOnce is a mail program's own button. It cannot show a page, and it
// only wants to know whether to try again, so an old or a wrong link is
// answered like a right one.
func (p *people) refuseAtOnce(call *wire.Call) (int, error) {
	sid, refusal := refusalOf(call.R.URL.Query())
	err := p.svc.Refuse(call.R.Context(), sid, refusal, false) // which is pressed without being read
	if errors.Is(err, verification.ErrConsumed) {
		err = nil // what could still be done was done
	}
	verdict := wire.ErrorOf(wire.SubmitError(err))
	status, text := http.StatusOK, "The request has been ended.\n"
	if err != nil && verdict.Status >= http.StatusInternalServerError {
		status, text = verdict.Status, "Something went wrong. Please try again later.\n"
	}
	web.Headers(call.W.Header())
	call.W.Header().Set("Content-Type", "text/plain; charset=utf-8")
	call.W.WriteHeader(status)
	_, _ = io.WriteString(call.W, text) // the mail program may be gone
	if err != nil {
		return 0, &rendered{verdict}
	}
	return status, nil
}

// failedRefusal says the same of a link that never was one as of one that is
// too old.
func (p *people) failedRefusal(call *wire.Call, err error) (int, error) {
	if wire.ErrorOf(wire.SubmitError(err)).Status < http.StatusInternalServerError {
		err = verification.ErrExpired
	}
	return p.failedPage(call, err)
}

// refusalOf reads a link's query or a form.
func refusalOf(values url.Values) (sid, refusal string) {
	return values.Get("sid"), values.Get("refusal")
}

// everybody reports whether the reader has ticked the box of that name.
func everybody(values url.Values) bool { return values.Get("everybody") != "" }

// refusalForm reads the body of a form; mail programs may send it in parts
// (RFC 8058, section 3.2).
func refusalForm(call *wire.Call) (url.Values, error) {
	mediaType, params, err := mime.ParseMediaType(call.R.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" {
		return postedForm(call)
	}
	raw, err := call.Body()
	if err != nil {
		return nil, err
	}
	form, err := multipart.NewReader(strings.NewReader(string(raw)), params["boundary"]).ReadForm(call.MaxBody)
	if err != nil {
		return nil, verification.ErrNoSession
	}
	return form.Value, nil
}
