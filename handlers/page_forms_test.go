// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestPages_AreReported, each by what it is, with the verdict that its reader got; a mail
// program's own button too, which is told nothing.
func TestPages_AreReported(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	token, refusal := r.box.last(t).Token, r.box.last(t).Refusal
	oneClick := func(link string) *httptest.ResponseRecorder {
		return r.do("POST", link, "List-Unsubscribe=One-Click", "Content-Type", formType)
	}
	for _, c := range []struct {
		ask               func() *httptest.ResponseRecorder
		endpoint, outcome string
		status            int
	}{
		{func() *httptest.ResponseRecorder { return r.openLink(sid) }, "page", "ok", 200},
		{func() *httptest.ResponseRecorder { return r.do("GET", linkPath, "") }, "page", "invalid_param", 400},
		{func() *httptest.ResponseRecorder { return r.do("PUT", linkPath, "") }, "submit", "unrecognized", 405},
		{func() *httptest.ResponseRecorder { return r.submitJSON("x") }, "submit", "not_json", 400},
		{func() *httptest.ResponseRecorder { return r.do("GET", refuseQuery(sid, string(refusal)), "") }, "refuse_page", "ok", 200},
		{func() *httptest.ResponseRecorder { return r.do("GET", route.RefusePath, "") }, "refuse_page", "session_expired", 400},
		{func() *httptest.ResponseRecorder { return r.do("PUT", route.RefusePath, "") }, "refuse", "unrecognized", 405},
		{func() *httptest.ResponseRecorder { return oneClick(route.RefusePath) }, "refuse", "invalid_param", 400},
		{func() *httptest.ResponseRecorder {
			return r.sent(linkPath, url.Values{"sid": {sid}, "token": {string(token)}})
		}, "confirm", "forbidden", 403},
		{func() *httptest.ResponseRecorder { return r.sent(linkPath, fields(r.openLink(sid))) }, "confirm", "ok", 303},
		{func() *httptest.ResponseRecorder { return oneClick(refuseQuery(sid, string(refusal))) }, "refuse", "ok", 200},
		{func() *httptest.ResponseRecorder { return r.openLink(sid) }, "page", "session_expired", 400},
	} {
		c.ask()
		r.wantEvent("client", c.endpoint, c.outcome, c.status)
	}
	if allow := r.do("PUT", linkPath, "").Header().Get("Allow"); allow != "GET, HEAD, POST, OPTIONS" {
		t.Errorf("got Allow %q", allow)
	}
	machine := r.do("PUT", route.RefusePath, "")
	if allow := machine.Header().Get("Allow"); allow != "GET, HEAD, POST" || machine.Body.Len() != 0 {
		t.Errorf("got Allow %q and %s", allow, machine.Body)
	}
	for name, answer := range map[string]*httptest.ResponseRecorder{"another method": machine, "one click": oneClick(refuseQuery(sid, string(refusal)))} {
		if h := answer.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got headers %v", name, h)
		}
	}
	if page := r.do("GET", linkPath, "").Body.String(); !strings.Contains(page, `href="`+linkPath+`?help=1"`) {
		t.Errorf("no help is offered where a link does not work:\n%s", page)
	}
}

// readOnly is a store that cannot be written while there is an error.
type readOnly struct {
	store.Store
	err error
}

func (s *readOnly) Update(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Update(ctx, p, f)
}

// TestPages_WhatIsNotWrittenIsNotDone: where a page could be read, and its button does
// nothing, it says so, and the form can be sent again.
func TestPages_WhatIsNotWrittenIsNotDone(t *testing.T) {
	full := &readOnly{}
	r := newPageRig(t, options{service: func(c *verification.Config) {
		full.Store = c.Store
		c.Store = full
	}})
	sid := r.request("register", "s", "a@x.org")
	link := refuseQuery(sid, string(r.box.last(t).Refusal))
	refuse, confirm := fields(r.do("GET", link, "")), fields(r.openLink(sid))
	full.err = errors.New("the disk is full")
	wantPage(t, r.sent(route.RefusePath, refuse), http.StatusInternalServerError, "Something went wrong")
	wantPage(t, r.sent(linkPath, confirm), http.StatusInternalServerError, "Something went wrong")
	full.err = store.ErrClosed
	wantStatus(t, r.do("POST", link, "List-Unsubscribe=One-Click", "Content-Type", formType), http.StatusServiceUnavailable)
	if e := r.events.list[len(r.events.list)-1]; !errors.Is(e.Err, store.ErrClosed) {
		t.Errorf("reported was %+v, want the cause", e)
	}
	full.err = nil
	wantStatus(t, r.sent(linkPath, confirm), http.StatusSeeOther)
	wantStatus(t, r.sent(route.RefusePath, refuse), http.StatusSeeOther)
	wantPage(t, r.openLink(sid), http.StatusBadRequest, "This request was ended")
}

// TestPages_OfTheSessionsLanguage, where the browser does not say which it wants.
func TestPages_OfTheSessionsLanguage(t *testing.T) {
	r := newPageRig(t, options{config: func(c *Config) { audienceOf(c).language = func(string) string { return "ar" } }})
	sid := r.request("register", "s", "a@x.org")
	if page := r.openLink(sid).Body.String(); !strings.Contains(page, `lang="ar"`) {
		t.Errorf("got page %.120s", page)
	}
}

// TestPages_WithoutEncryption: browsers tell nothing of a gesture then, and none is wanted.
func TestPages_WithoutEncryption(t *testing.T) {
	r := newPageRig(t, options{config: func(c *Config) { c.PublicURL = "http://matrix.example.org" }})
	sid := r.request("register", "s", "a@x.org")
	wantPage(t, r.press(r.openLink(sid), chrome[:2]...), http.StatusOK, "Confirmed")
}

// TestPages_KeepTheSecretOfTheirLink: a form whose link had one has it, too.
func TestPages_KeepTheSecretOfTheirLink(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	for link, want := range map[string]string{linkQuery("sid", sid, "token", string(token), "client_secret", "s"): "s", linkQuery("sid", sid, "token", string(token)): ""} {
		form := fields(r.do("GET", link, ""))
		if got := form.Get("client_secret"); got != want || form.Has("client_secret") != (want != "") || form.Get("sid") != sid || threepid.Token(form.Get("token")) != token {
			t.Errorf("%s: got the fields %v", link, form)
		}
	}
	form := fields(r.openLink(sid))
	form.Set("client_secret", "another")
	if page := r.sent(linkPath, form); page.Code == http.StatusOK {
		t.Errorf("got %d: a secret that is there must be right", page.Code)
	}
	r.stillPending(sid, "another secret")
}

// TestPages_OfWhatIsOverMeanwhile: a form is answered by how things stand, and so is the
// address that it led to.
func TestPages_OfWhatIsOverMeanwhile(t *testing.T) {
	broken := &brokenStore{}
	r := newPageRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	sid := r.request("register", "s", "a@x.org")
	m := r.box.last(t)
	wantPage(t, r.press(r.openLink(sid)), http.StatusOK, "Confirmed")
	wantPage(t, r.post(url.Values{"sid": {sid}, "token": {string(m.Token)}}), http.StatusOK, "Already confirmed") // a program's
	refused := r.sent(route.RefusePath, fields(r.do("GET", refuseQuery(sid, string(m.Refusal)), ""))).Header().Get("Location")
	wantPage(t, r.do("GET", refused, ""), http.StatusOK, "The request was ended")
	broken.err = errDisk
	wantPage(t, r.do("GET", refused, ""), http.StatusInternalServerError, "Something went wrong")

	r = newPageRig(t, withCodes)
	sid = r.request("register", "s", "a@x.org")
	form := fields(r.do("GET", linkQuery("sid", sid), ""))
	form.Set("token", "nope")
	wrong := r.sent(linkPath, form).Header().Get("Location")
	wantPage(t, r.do("GET", wrong, ""), http.StatusBadRequest, "Create your account?")
	if err := r.svc.RevokeSession(t.Context(), threepid.SID(sid)); err != nil {
		t.Fatal(err)
	}
	wantPage(t, r.do("GET", wrong, ""), http.StatusBadRequest, "This request was ended")
}

// TestPages_HowLongAQueryMayBe, to the sign.
func TestPages_HowLongAQueryMayBe(t *testing.T) {
	r := newPageRig(t, options{})
	for n, want := range map[int]int{web.MaxLink: http.StatusBadRequest, web.MaxLink + 1: http.StatusRequestURITooLong} {
		wantPage(t, r.do("GET", linkPath+"?"+strings.Repeat("x", n), "", browser...), want, "This link does not work")
	}
}

// TestPages_SmallParts: what is a code, of which medium a path is, and what the server is
// called.
func TestPages_SmallParts(t *testing.T) {
	for value, want := range map[string]bool{"#0000cc": true, "red}": false} {
		if err := web.CheckVariable("accent", value); (err == nil) != want {
			t.Errorf("%s: got %v", value, err)
		}
	}
	for token, want := range map[string]bool{"": false, "1": true, "0123456789": true, strings.Repeat("1", 16): true, strings.Repeat("1", 17): false, "12a": false, "-1": false} {
		if got := code(threepid.Token(token)); got != want {
			t.Errorf("%q is a code: %v, want %v", token, got, want)
		}
	}
	for contentType, want := range map[string]bool{
		formType: true, formType + "; charset=utf-8": true, "application/x-form-www-urlencoded": true, "application/json": false, "": false, formType + "; =": false,
	} {
		r := httptest.NewRequest("POST", linkPath, http.NoBody)
		if r.Header.Set("Content-Type", contentType); wire.IsForm(r) != want {
			t.Errorf("%q is a form: %v, want %v", contentType, wire.IsForm(r), want)
		}
		if r.Header.Set("Content-Type", "multipart/form-data; ="); wire.IsMultipart(r) {
			t.Error("a form in parts without a boundary is one")
		}
	}
	for accept, want := range map[string]bool{
		"text/html": true, "text/html;q=0.9": true, "application/json, text/html;q=1": true, "application/json,*/*": false, "text/html;q=0": false,
		"text/html;q=0.000": false, "text/html;q=": false, ";;": false, "": false, "text/plain": false,
	} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		if r.Header.Set("Accept", accept); wire.Accepts(r, "text/html") != want {
			t.Errorf("%q asks for a page: %v, want %v", accept, wire.Accepts(r, "text/html"), want)
		}
	}
	for path, want := range map[string]threepid.Medium{linkPath: threepid.Email, phonePath: threepid.MSISDN, "/_threepid/msisdn": threepid.Email} {
		if got := route.MediumOf(path); got != want {
			t.Errorf("%s is of %s, want %s", path, got, want)
		}
	}
	for origin, want := range map[string]string{"https://matrix.example.org": "matrix.example.org", "http://[::1]:8008": "[::1]:8008"} {
		if got := hostOf(origin); got != want {
			t.Errorf("%s is called %s, want %s", origin, got, want)
		}
	}
}

// TestRefusals_InParts: a mail program may send its form in parts, of which none may be too
// large, and which have to be parts.
func TestRefusals_InParts(t *testing.T) {
	m := newRefuseRig(t)
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	err := errors.Join(writer.WriteField("List-Unsubscribe", "One-Click"), writer.WriteField("x", strings.Repeat("x", DefaultMaxBody)), writer.Close())
	if err != nil {
		t.Fatal(err)
	}
	for body, status := range map[string]int{parts.String(): http.StatusRequestEntityTooLarge, "List-Unsubscribe=One-Click": http.StatusBadRequest} {
		if page := m.do("POST", m.link(), body, "Content-Type", writer.FormDataContentType()); page.Code != status || m.refused() {
			t.Errorf("%.30q: got %d, refused %v; want %d", body, page.Code, m.refused(), status)
		}
	}
	if m.do("POST", m.link(), "List-Unsubscribe=One-Click", "Content-Type", "multipart/mixed; boundary=x"); !m.refused() {
		t.Error("what is no form in parts is not read as any other")
	}
}

// TestRebuild_TheAncientAPI has registrations only that are read otherwise.
func TestRebuild_TheAncientAPI(t *testing.T) {
	for at, want := range map[route.Route]bool{
		{Version: "api/v1", Tail: "register"}: true, {Version: "r0", Tail: "register"}: false, {Version: "api/v1", Tail: "account/password"}: false,
	} {
		if got := at.Ancient(); got != want {
			t.Errorf("%+v is ancient: %v, want %v", at, got, want)
		}
	}
}

// TestRebuild_WhatCannotBeReadIsNotSent, whoever has read it before.
func TestRebuild_WhatCannotBeReadIsNotSent(t *testing.T) {
	for body, at := range map[string]route.Route{
		`{"three_pid_creds":5}`: {Tail: route.TailThreepid}, `{"sid":5}`: {Tail: route.TailAdd}, `{"threepid_creds":5}`: {Tail: route.TailRegister, Version: ancient},
		`{"auth":{"type":"m.login.email.identity","threepid_creds":5}}`: {Tail: route.TailPassword},
	} {
		j := &completion{call: &wire.Call{Route: at}, body: mustObject(t, []byte(body))}
		_ = j.readAuth() // it says the same
		if err := wire.Rebuild(at, j.body, j.auth, j.changed); codeOf(err) != wire.CodeInvalidParam {
			t.Errorf("%s: got %v", body, err)
		}
	}
}
