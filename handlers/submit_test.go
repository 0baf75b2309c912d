// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var withCodes = options{config: func(c *Config) { c.Proof = verification.ProofCode }}

func (r *rig) submitJSON(body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", linkPath, body)
}

func submitBody(sid, secret, token string) string {
	return `{"sid":"` + sid + `","client_secret":"` + secret + `","token":"` + token + `"}`
}

func TestR33_R34_R35_F1_F4_SubmitURL(t *testing.T) {
	for _, purpose := range []string{"register", "account/password", "account/3pid"} {
		path := "/_matrix/client/r0/" + purpose + "/email/requestToken"
		link := decoded(t, newRig(t, options{}).do("POST", path, validToken))
		if _, ok := link["submit_url"]; ok {
			t.Errorf("%s: submit_url in the answer although the mail carries the whole link", purpose)
		}
		code, _ := decoded(t, newRig(t, withCodes).do("POST", path, validToken))["submit_url"].(string)
		if want := "https://matrix.example.org" + linkPath; code != want {
			t.Errorf("%s: got submit_url %q, want %q", purpose, code, want)
		}
		if strings.Contains(code, "/_matrix/identity/") {
			t.Errorf("submit_url %q is on a path of identity servers", code)
		}
	}
}

func TestR30_R36_R39_F2_F3_SubmitByMachine(t *testing.T) {
	for _, opts := range []options{{}, withCodes} {
		r := newRig(t, opts)
		r.hs.AddUser("alice", "old", "alice@x.org")
		sid := r.request("account/password", "s", "alice@x.org")
		rec := r.submitJSON(submitBody(sid, "s", string(r.box.last(t).Token)))
		wantStatus(t, rec, http.StatusOK)
		wantCORS(t, rec)
		if got := strings.TrimSpace(rec.Body.String()); got != `{"success":true}` {
			t.Errorf("got %s, want success", got)
		}
		again := r.submitJSON(submitBody(sid, "s", string(r.box.last(t).Token)))
		wantStatus(t, again, http.StatusOK)
		wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	}
}

func TestF5_SubmitErrors(t *testing.T) {
	r := newRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	wrong := "000000"
	if token == threepid.Token(wrong) {
		wrong = "000001"
	}
	for name, c := range map[string]struct{ body, code string }{
		"wrong token":  {submitBody(sid, "s", wrong), "M_TOKEN_INCORRECT"},
		"wrong secret": {submitBody(sid, "t", string(token)), "M_INVALID_PARAM"},
		"unknown sid":  {submitBody("x", "s", string(token)), "M_INVALID_PARAM"},
		"empty token":  {submitBody(sid, "s", ""), "M_INVALID_PARAM"},
		"long token":   {submitBody(sid, "s", strings.Repeat("1", 256)), "M_INVALID_PARAM"},
		"no token":     {`{"sid":"` + sid + `","client_secret":"s"}`, "M_MISSING_PARAM"},
		"no secret":    {`{"sid":"` + sid + `","token":"1"}`, "M_MISSING_PARAM"},
		"no sid":       {`{"client_secret":"s","token":"1"}`, "M_MISSING_PARAM"},
		"sid number":   {`{"sid":5,"client_secret":"s","token":"1"}`, "M_INVALID_PARAM"},
		"token number": {`{"sid":"` + sid + `","client_secret":"s","token":123456}`, "M_INVALID_PARAM"},
		"not JSON":     {`x`, "M_NOT_JSON"},
		"array":        {`[]`, "M_BAD_JSON"},
	} {
		rec := r.submitJSON(c.body)
		wantError(t, rec, http.StatusBadRequest, c.code)
		if got := decoded(t, rec)["success"]; got != false {
			t.Errorf("%s: got success %v, want false", name, got)
		}
	}
	r.clock.Advance(verification.DefaultTokenLifetime)
	wantError(t, r.submitJSON(submitBody(sid, "s", string(token))), http.StatusBadRequest, "M_SESSION_EXPIRED")
	r.clock.Advance(24 * time.Hour)
	wantError(t, r.submitJSON(submitBody(sid, "s", string(token))), http.StatusBadRequest, "M_SESSION_EXPIRED")
}

func TestTooManyWrongCodesEndTheSession(t *testing.T) {
	r := newRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	for range verification.DefaultMaxTries {
		wantError(t, r.submitJSON(submitBody(sid, "s", "wrong")), http.StatusBadRequest, "M_TOKEN_INCORRECT")
	}
	wantError(t, r.submitJSON(submitBody(sid, "s", string(token))), http.StatusBadRequest, "M_SESSION_EXPIRED")
}

func TestR31_IdentityServersSubmitPath(t *testing.T) {
	const path = "/_matrix/identity/api/v1/validate/email/submitToken"
	r := newRig(t, options{config: func(c *Config) { c.IdentitySubmit = true; c.Proof = verification.ProofCode }})
	sid := r.request("account/password", "s", "a@x.org")
	form := url.Values{"sid": {sid}, "client_secret": {"s"}, "token": {string(r.box.last(t).Token)}}.Encode()
	rec := r.do("POST", path, form, "Content-Type", "application/x-www-form-urlencoded")
	wantStatus(t, rec, http.StatusOK)
	if got := decoded(t, rec)["success"]; got != true {
		t.Errorf("got success %v, want true", got)
	}
	wantStatus(t, r.do("POST", path, submitBody(sid, "s", string(r.box.last(t).Token))), http.StatusOK)
	off := newRig(t, options{})
	off.do("POST", path, "{}")
	if len(off.hs.Requests()) != 1 {
		t.Error("the path is served although it is not configured")
	}
}

func linkQuery(values ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		q.Set(values[i], values[i+1])
	}
	return linkPath + "?" + q.Encode()
}

func TestR37_F12_Page(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.request("account/password", "s", "alice@x.org")
	token := r.box.last(t).Token
	for _, method := range []string{"GET", "HEAD"} {
		for range 2 { // a mail scanner
			rec := r.do(method, linkQuery("sid", sid, "token", string(token), "client_secret", "s"), "")
			wantStatus(t, rec, http.StatusOK)
			if method == "HEAD" && rec.Body.Len() != 0 {
				t.Error("HEAD was answered with a body")
			}
		}
	}
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)

	page := r.do("GET", linkQuery("sid", sid, "token", string(token)), "").Body.String()
	for _, want := range []string{`<form method="post"`, "Reset your password?", "alice@x.org", "matrix.example.org", `name="viewport"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, bad := range []string{"<script", "http://", "https://"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has a %q", bad)
		}
	}
	for name, target := range map[string]string{
		"wrong token":  linkQuery("sid", sid, "token", "x"),
		"wrong secret": linkQuery("sid", sid, "token", string(token), "client_secret", "t"),
		"unknown sid":  linkQuery("sid", "x", "token", string(token)),
		"nothing":      linkPath,
	} {
		if rec := r.do("GET", target, ""); rec.Code/100 != 4 {
			t.Errorf("%s: got status %d, want 4xx", name, rec.Code)
		}
	}
	done := r.confirm(sid, string(token))
	wantStatus(t, done, http.StatusOK)
	if !strings.Contains(done.Body.String(), "Confirmed") {
		t.Errorf("got page %s", done.Body)
	}
	for _, again := range []*httptest.ResponseRecorder{r.confirm(sid, string(token)), r.do("GET", linkQuery("sid", sid, "token", string(token)), "")} {
		wantStatus(t, again, http.StatusOK)
		if !strings.Contains(again.Body.String(), "Already confirmed") {
			t.Errorf("got page %s", again.Body)
		}
	}
	r.clock.Advance(25 * time.Hour)
	if rec := r.confirm(sid, string(token)); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "This request is too old") {
		t.Errorf("got status %d, page %s", rec.Code, rec.Body)
	}
}

func TestPageHeaders(t *testing.T) {
	r := newRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	h := r.do("GET", linkQuery("sid", sid, "token", string(r.box.last(t).Token)), "").Header()
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self';", "style-src 'sha256-"} {
		if !strings.Contains(csp, want) {
			t.Errorf("got Content-Security-Policy %q, want %q in it", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("got Content-Security-Policy %q", csp)
	}
}

// without takes the nonce off a page.
func without(page string) string { return nonceField.ReplaceAllString(page, "") }

var nonceField = regexp.MustCompile(`<input type="hidden" name="nonce" value="[^"]*">`)

func TestCodePageIsNoOracle(t *testing.T) {
	r := newRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	right := r.do("GET", linkQuery("sid", sid, "token", string(token)), "").Body.String()
	wrong := r.do("GET", linkQuery("sid", sid, "token", "999999"), "").Body.String()
	same := strings.NewReplacer(string(token), "T", "999999", "T")
	if without(same.Replace(right)) != without(same.Replace(wrong)) {
		t.Error("the page tells a right code from a wrong one without counting")
	}
	field := r.do("GET", linkQuery("sid", sid), "").Body.String()
	for _, want := range []string{`inputmode="numeric"`, `autocomplete="one-time-code"`} {
		if !strings.Contains(field, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(field, "a@x.org") {
		t.Error("the page tells the address to somebody who has not shown the code")
	}
	wantStatus(t, r.confirm(sid, string(" "+token[:3]+" "+token[3:])), http.StatusOK)
}

func TestPageEscapesWhatItIsGiven(t *testing.T) {
	r := newRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	page := r.do("GET", linkQuery("sid", sid, "token", `"><b>x`), "").Body.String()
	if strings.Contains(page, "<b>") {
		t.Error("the token is not escaped")
	}
}

func TestSubmitWrongMethod(t *testing.T) {
	r := newRig(t, options{})
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		wantError(t, r.do(method, linkPath, ""), http.StatusMethodNotAllowed, "M_UNRECOGNIZED")
	}
	wantError(t, r.do("GET", "/_threepid/validate/pigeon/submitToken", ""), http.StatusNotFound, "M_UNRECOGNIZED")
}

// TestCodeLinkLeadsToThePageForTheCode: what the mail says to those whose app has no
// field.
func TestCodeLinkLeadsToThePageForTheCode(t *testing.T) {
	r := newRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	link := web.Link("https://matrix.example.org", threepid.SID(sid), "")
	form := fields(r.do("GET", strings.TrimPrefix(link, "https://matrix.example.org"), ""))
	form.Set("token", string(r.box.last(t).Token))
	wantPage(t, r.post(form), http.StatusOK, "Confirmed")
}
