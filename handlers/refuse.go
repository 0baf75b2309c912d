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
func (c *Client) refuse(w http.ResponseWriter, r *http.Request, at route.Route) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return c.observed(w, r, at, "refuse_page", func() (int, error) {
			return c.showRefusal(w, r)
		})
	case http.MethodPost:
		return c.observed(w, r, at, string(route.KindRefuse), func() (int, error) {
			values, err := c.refusalForm(w, r)
			if err != nil {
				return c.failedPage(w, r, err)
			}
			if values.Get("List-Unsubscribe") == "One-Click" {
				return c.refuseAtOnce(w, r)
			}
			return c.confirmRefusal(w, r, values)
		})
	}
	return c.observed(w, r, at, string(route.KindRefuse), func() (int, error) {
		web.Headers(w.Header())
		w.Header().Set("Allow", "GET, HEAD, POST")
		if ForPerson(r) {
			return c.failedPage(w, r, wire.Unrecognized(http.StatusMethodNotAllowed))
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
		return 0, &rendered{wire.Unrecognized(http.StatusMethodNotAllowed)}
	})
}

// showRefusal asks, and changes nothing: mail scanners follow this link, too.
func (c *Client) showRefusal(w http.ResponseWriter, r *http.Request) (int, error) {
	sid, refusal := refusalOf(r.URL.Query())
	if seen := c.seenOf(route.RefusePath, r.URL.Query()); seen != "" {
		found, err := c.svc.Recall(r.Context(), sid)
		if err != nil {
			return c.failedRefusal(w, r, err)
		}
		return c.show(w, r, viewOf(found, seen))
	}
	found, err := c.svc.InspectRefusal(r.Context(), sid, refusal)
	if err != nil {
		return c.failedRefusal(w, r, err)
	}
	return c.show(w, r, c.refusalView(found, sid, refusal, web.First))
}

// refusalView is the page that asks, or that says it is done already.
func (c *Client) refusalView(found verification.Confirmed, sid, refusal string, press web.Press) web.View {
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
		{Name: "nonce", Value: c.gate().Nonce(press, aboutRefusal(sid, refusal))},
	}
	return v
}

// confirmRefusal is the button of that page. It is as hard to press for a
// program as the other one: a scanner that refused would keep mail from its own
// users for a day.
func (c *Client) confirmRefusal(w http.ResponseWriter, r *http.Request, values url.Values) (int, error) {
	sid, refusal := refusalOf(values)
	found, err := c.svc.InspectRefusal(r.Context(), sid, refusal)
	if err != nil {
		return c.failedRefusal(w, r, err)
	}
	if !c.gate().Human(r, values.Get("nonce"), aboutRefusal(sid, refusal)) {
		if found.State == verification.Revoked { // the same form again
			return c.sendOn(w, route.RefusePath, web.Refused, nil, sid)
		}
		return c.showFailure(w, r, errMachine, c.refusalView(found, sid, refusal, web.Second))
	}
	state := web.Refused
	switch err := c.svc.Refuse(r.Context(), sid, refusal); {
	case errors.Is(err, verification.ErrConsumed):
		state = web.Already // it cannot be taken back, and saying that it was stopped would be a lie
	case err != nil:
		return c.failedRefusal(w, r, err)
	}
	return c.sendOn(w, route.RefusePath, state, nil, sid)
}

// aboutRefusal is what the nonce of that page is about.
func aboutRefusal(sid, refusal string) string { return "refuse\x00" + sid + "\x00" + refusal }

// refuseAtOnce is a mail program's own button. It cannot show a page, and it
// only wants to know whether to try again, so an old or a wrong link is
// answered like a right one.
func (c *Client) refuseAtOnce(w http.ResponseWriter, r *http.Request) (int, error) {
	sid, refusal := refusalOf(r.URL.Query())
	err := c.svc.Refuse(r.Context(), sid, refusal)
	if errors.Is(err, verification.ErrConsumed) {
		err = nil // what could still be done was done
	}
	verdict := wire.ErrorOf(wire.SubmitError(err))
	status, text := http.StatusOK, "The request has been ended.\n"
	if err != nil && verdict.Status >= http.StatusInternalServerError {
		status, text = verdict.Status, "Something went wrong. Please try again later.\n"
	}
	web.Headers(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the mail program may be gone
	if err != nil {
		return 0, &rendered{verdict}
	}
	return status, nil
}

// failedRefusal says the same of a link that never was one as of one that is
// too old.
func (c *Client) failedRefusal(w http.ResponseWriter, r *http.Request, err error) (int, error) {
	if wire.ErrorOf(wire.SubmitError(err)).Status < http.StatusInternalServerError {
		err = verification.ErrExpired
	}
	return c.failedPage(w, r, err)
}

// refusalOf reads a link's query or a form.
func refusalOf(values url.Values) (sid, refusal string) {
	return values.Get("sid"), values.Get("refusal")
}

// refusalForm reads the body of a form; mail programs may send it in parts
// (RFC 8058, section 3.2).
func (c *Client) refusalForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" {
		return c.pageForm(w, r)
	}
	raw, err := wire.ReadBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return nil, err
	}
	form, err := multipart.NewReader(strings.NewReader(string(raw)), params["boundary"]).ReadForm(c.cfg.MaxBody)
	if err != nil {
		return nil, verification.ErrNoSession
	}
	return form.Value, nil
}
