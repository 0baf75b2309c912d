// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// seenField says in an address what has just become of a form that led there. It is
// sealed, for an hour: nobody can make up a page that says so. Afterwards, the address
// is that of the link, whose page tells how things stand.
const seenField = "seen"

// aftermath are the pages that a form leads to. What passes by itself is no such page:
// to send the form again is right then.
var aftermath = []web.State{
	web.Done, web.Already, web.Wrong, web.Again, web.Expired, web.Revoked, web.Invalid, web.Insist, web.Refused,
}

// sendOn answers a form by the address of the page that says what became of it (RFC
// 9110, 15.4.4). The browser keeps that in its history, and not the form, so that
// going back, going forward and reloading do not ask whether to send it again. The
// verdict on a form that has failed is reported here.
func (c *Client) sendOn(w http.ResponseWriter, path string, state web.State, verdict *MatrixError, sid string, pairs ...string) (int, error) {
	seen := string(state) + "." + c.gate().Nonce(web.First, aboutSeen(state, sid))
	query := linkParameters(append(append([]string{"sid", sid}, pairs...), seenField, seen)...)
	web.Headers(w.Header())
	w.Header().Set("Location", path+"?"+query)
	w.WriteHeader(http.StatusSeeOther)
	if verdict != nil {
		return 0, &rendered{verdict}
	}
	return http.StatusSeeOther, nil
}

// aboutSeen is what the seal of such an address is about.
func aboutSeen(state web.State, sid string) string { return "seen\x00" + string(state) + "\x00" + sid }

// seenOf is the page that an address says, or empty.
func (c *Client) seenOf(query url.Values) web.State {
	name, seal, _ := strings.Cut(query.Get(seenField), ".")
	state := web.State(name)
	if !slices.Contains(aftermath, state) || !c.gate().Sealed(seal, aboutSeen(state, query.Get("sid"))) {
		return ""
	}
	return state
}

// sendToPage is sendOn for the page of a link. Of what was sent, its address has what
// the link's own has, and no code.
func (c *Client) sendToPage(w http.ResponseWriter, r *http.Request, sub verification.Submission, state web.State, verdict *MatrixError) (int, error) {
	token := ""
	if secretForm.MatchString(sub.Token) {
		token = sub.Token
	}
	return c.sendOn(w, submitPath(mediumOf(r)), state, verdict, sub.SID, "token", token)
}

// failedForm tells a person what went wrong with a form.
func (c *Client) failedForm(w http.ResponseWriter, r *http.Request, sub verification.Submission, err error) (int, error) {
	verdict := asMatrixError(submitError(err))
	if state := failure(err, verdict); verdicts[state] != nil {
		return c.sendToPage(w, r, sub, state, verdict)
	}
	return c.failedPage(w, r, err)
}

// verdicts are what pages about a failure that stays stand for.
var verdicts = map[web.State]error{
	web.Expired: verification.ErrExpired, web.Revoked: verification.ErrRevoked, web.Invalid: verification.ErrNoSession,
}

// seenPage is the page of a link after its form.
func (c *Client) seenPage(w http.ResponseWriter, r *http.Request, sub verification.Submission, state web.State) (int, error) {
	if failed := verdicts[state]; failed != nil {
		return c.failedPage(w, r, failed)
	}
	if state == web.Wrong {
		return c.wrongPage(w, r, sub)
	}
	if state == web.Again {
		return c.againPage(w, r, sub)
	}
	found, err := c.svc.Inspect(r.Context(), sub)
	if err != nil {
		return c.failedPage(w, r, err)
	}
	if !found.Already {
		return c.linkPage(w, r, sub, found)
	}
	return c.confirmedPage(w, r, sub, found, state)
}

// confirmedPage says that an address is confirmed to somebody who has proven to
// know it, and where they go on.
func (c *Client) confirmedPage(w http.ResponseWriter, r *http.Request, sub verification.Submission, found verification.Confirmed, state web.State) (int, error) {
	v := viewOf(found, state)
	v.Address, v.Next = shown(found), c.wayOn(found, sub.SID)
	return c.show(w, r, v)
}
