// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// sent posts a form to a path, and returns the answer itself.
func (r *rig) sent(path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	r.clock.Advance(5 * time.Second)
	return r.do("POST", path, form.Encode(), append([]string{"Content-Type", formType}, header...)...)
}

// TestNoFormStaysInTheHistory: what a form leads to, and will not pass by itself, is
// the address of a page. Reloading that is harmless, and it says the same.
func TestNoFormStaysInTheHistory(t *testing.T) {
	type outcome struct {
		status  int
		heading string
	}
	for name, c := range map[string]struct {
		options options
		path    string
		form    func(r *rig, sid string) url.Values
		outcome
	}{
		"confirmed": {options{}, linkPath, func(r *rig, sid string) url.Values { return fields(r.openLink(sid)) }, outcome{200, "Confirmed"}},
		"again": {options{}, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.openLink(sid))
			r.press(r.openLink(sid))
			return form
		}, outcome{200, "Already confirmed"}},
		"a code": {withCodes, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.do("GET", linkQuery("sid", sid), ""))
			form.Set("token", r.box.last(r.t).Token)
			return form
		}, outcome{200, "Confirmed"}},
		"a wrong code": {withCodes, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.do("GET", linkQuery("sid", sid), ""))
			form.Set("token", "nope")
			return form
		}, outcome{400, "Create your account?"}},
		"a wrong token": {options{}, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.openLink(sid))
			form.Set("token", "wrong")
			return form
		}, outcome{400, "This link does not work"}},
		"too late": {options{}, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.openLink(sid))
			r.clock.Advance(25 * time.Hour)
			return form
		}, outcome{400, "This request is too old"}},
		"ended": {options{}, linkPath, func(r *rig, sid string) url.Values {
			form := fields(r.openLink(sid))
			if err := r.svc.RevokeSession(r.t.Context(), sid); err != nil {
				r.t.Fatal(err)
			}
			return form
		}, outcome{400, "This request was ended"}},
		"refused": {options{}, route.RefusePath, func(r *rig, sid string) url.Values {
			return fields(r.do("GET", refuseQuery(sid, r.box.last(r.t).Refusal), ""))
		}, outcome{200, "The request was ended"}},
	} {
		r := newPageRig(t, c.options)
		sid := r.request("register", "s", "a@x.org")
		form := c.form(r, sid)
		answer := r.sent(c.path, form, chrome...)
		location := answer.Header().Get("Location")
		u, err := url.Parse(location)
		if answer.Code != http.StatusSeeOther || err != nil || u.Path != c.path || u.Host != "" || answer.Body.Len() != 0 {
			t.Errorf("%s: got status %d to %q, %s", name, answer.Code, location, answer.Body)
			continue
		}
		for range 3 {
			wantPage(t, r.do("GET", location, "", browser...), c.status, c.heading)
		}
		if got := answer.Header(); got.Get("Cache-Control") != "no-store" || got.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got headers %v", name, got)
		}
		for param := range u.Query() {
			if param != "sid" && param != "end" && param != web.SeenField {
				t.Errorf("%s: the address has %s in it", name, param)
			}
		}
	}
}

// TestAnAddressCannotClaimAnything: what a page says happened is sealed, for one
// session and for an hour, and nothing follows from it.
func TestAnAddressCannotClaimAnything(t *testing.T) {
	r := newPageRig(t, withCodes)
	other := r.request("register", "s2", "b@x.org")
	form := fields(r.do("GET", linkQuery("sid", other), ""))
	form.Set("token", r.box.last(t).Token)
	u, err := url.Parse(r.sent(linkPath, form).Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	seen := u.Query().Get(web.SeenField)
	sid := r.request("register", "s", "a@x.org")
	name, seal, _ := strings.Cut(seen, ".")
	for _, forged := range []string{seen, "done", "done.", "done." + seal, "already." + seal, name + "." + seal + "x", "wrong." + seal, "x." + seal} {
		page := r.do("GET", linkQuery("sid", sid, web.SeenField, forged), "")
		wantPage(t, page, http.StatusOK, "Create your account?")
		if strings.Contains(page.Body.String(), "a@x.org") || strings.Contains(page.Body.String(), `role="alert"`) {
			t.Errorf("%s: the page believes it", forged)
		}
	}
	// A seal that is right says nothing of a session that is not confirmed, and none of a
	// refusal is one of a link.
	for _, state := range []string{"done", "already"} {
		seal := r.client.people.pressCheck().Nonce('1', sealOf(linkPath, state, sid))
		wantPage(t, r.do("GET", linkQuery("sid", sid, web.SeenField, state+"."+seal), ""), http.StatusOK, "Create your account?")
	}
	r.stillPending(sid, "addresses that say so")
	if page := r.do("GET", u.String(), "").Body.String(); !strings.Contains(page, "b@x.org") {
		t.Error("the page does not say which address was confirmed")
	}
	r.clock.Advance(time.Hour + time.Minute)
	if page := r.do("GET", u.String(), "").Body.String(); strings.Contains(page, "b@x.org") {
		t.Error("the page names the address for more than an hour")
	}
}

// TestWhatPassesIsSentAgain: where the server is at fault, or wants to be left alone
// for a while, the form stays: to send it again is what one wants then.
func TestWhatPassesIsSentAgain(t *testing.T) {
	broken := &brokenStore{}
	r := newPageRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	sid := r.request("register", "s", "alice@x.org")
	form := fields(r.openLink(sid))
	broken.err = http.ErrAbortHandler
	wantPage(t, r.sent(linkPath, form), http.StatusInternalServerError, "Something went wrong")
	broken.err = &verification.LimitError{RetryAfter: time.Minute, Limit: "client"}
	wantPage(t, r.sent(linkPath, form), http.StatusTooManyRequests, "Please try again later")
	broken.err = nil
	wantStatus(t, r.sent(linkPath, form), http.StatusSeeOther)
	r.svcConfirmed(sid)
}

// svcConfirmed checks that a session is confirmed.
func (r *rig) svcConfirmed(sid string) {
	r.t.Helper()
	found, err := r.svc.Inspect(r.t.Context(), verification.Submission{SID: sid, Token: r.box.last(r.t).Token})
	if err != nil || !found.Already {
		r.t.Errorf("got %+v, %v: it is not confirmed", found, err)
	}
}

// sealOf is what the seal of an address is about that says what has become of a form.
func sealOf(path, state, sid string) string { return seen{path, web.State(state), sid}.about() }
