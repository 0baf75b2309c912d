// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"errors"
	"mime/multipart"
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

// mail is a session with its link to refuse.
type mail struct {
	*rig
	store        *brokenStore
	sid, refusal string
}

func newRefuseRig(t *testing.T) *mail {
	t.Helper()
	m := &mail{store: &brokenStore{}}
	m.rig = newPageRig(t, options{service: func(c *verification.Config) {
		m.store.Store = c.Store
		c.Store = m.store
	}})
	m.sid = m.request("account/password", "s", "alice@x.org")
	m.refusal = m.box.last(t).Refusal
	return m
}

// link is that of the mail.
func (m *mail) link() string { return refuseQuery(m.sid, m.refusal) }

// refused reports whether the session was ended.
func (m *mail) refused() bool {
	m.t.Helper()
	_, err := m.svc.Inspect(m.t.Context(), verification.Submission{SID: m.sid, Token: m.box.last(m.t).Token})
	if err != nil && !errors.Is(err, verification.ErrRevoked) {
		m.t.Fatal(err)
	}
	return err != nil
}

func refuseQuery(sid, refusal string) string {
	return strings.TrimPrefix(web.RefuseLink("https://matrix.example.org", sid, refusal), "https://matrix.example.org")
}

func (r *rig) refuseForm(values url.Values, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.postTo(route.RefusePath, values, header...)
}

// pressRefuse reads a page and presses its button.
func (m *mail) pressRefuse(page *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	m.t.Helper()
	m.clock.Advance(5 * time.Second)
	return m.refuseForm(fields(page))
}

func TestRefuseLink(t *testing.T) {
	got := web.RefuseLink("https://matrix.example.org", "0a_-b", "c&d=e")
	if want := "https://matrix.example.org/_threepid/refuse?sid=0a_-b&refusal=c%26d%3De"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if u, err := url.Parse(got); err != nil || !Ours(Config{Prefixes: DefaultPrefixes}, u) {
		t.Errorf("%s is not taken for one of ours (%v)", got, err)
	}
}

// TestRefuseByPage: looking changes nothing, the button does, twice is no harm.
func TestRefuseByPage(t *testing.T) {
	m := newRefuseRig(t)
	var page *httptest.ResponseRecorder
	for _, method := range []string{"GET", "HEAD", "GET"} {
		page = m.do(method, m.link(), "")
		wantStatus(t, page, http.StatusOK)
	}
	wantPage(t, page, http.StatusOK, "You did not ask for this?")
	if m.refused() {
		t.Error("a GET has refused")
	}
	if strings.Contains(page.Body.String(), "alice@x.org") {
		t.Error("the page tells the address: whoever gets the mail passed on reads it")
	}
	wantPage(t, m.pressRefuse(page), http.StatusOK, "The request was ended")
	if !m.refused() {
		t.Error("the session is not ended")
	}
	wantPage(t, m.do("GET", m.link(), ""), http.StatusOK, "The request was ended")
	wantPage(t, m.refuseForm(fields(page)), http.StatusOK, "The request was ended")
	wantPage(t, m.refuseForm(url.Values{"sid": {m.sid}, "refusal": {m.refusal}}), http.StatusOK, "The request was ended") // a program's, too
	wantPage(t, m.openLink(m.sid), http.StatusBadRequest, "This request was ended")
}

// TestRefuseTooLate: what was used is not said to be stopped.
func TestRefuseTooLate(t *testing.T) {
	m := newRefuseRig(t)
	m.hs.AddUser("alice", "old", "alice@x.org")
	wantPage(t, m.press(m.openLink(m.sid)), http.StatusOK, "Confirmed")
	wantStatus(t, m.reset(resetBody(m.sid, "s")), http.StatusOK)
	page := m.do("GET", m.link(), "")
	wantPage(t, page, http.StatusOK, "You did not ask for this?")
	wantPage(t, m.pressRefuse(page), http.StatusOK, "Already confirmed")
	wantStatus(t, m.oneClick(m.link()), http.StatusOK)
}

// TestRefuseNeedsItsNonce: a form made up elsewhere is answered with the page.
func TestRefuseNeedsItsNonce(t *testing.T) {
	m := newRefuseRig(t)
	good := fields(m.do("GET", m.link(), ""))
	crossSite := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	wantPage(t, m.refuseForm(good, scanner...), http.StatusForbidden, "Please press once more") // at once
	m.clock.Advance(5 * time.Second)
	wantPage(t, m.refuseForm(good, crossSite...), http.StatusForbidden, "Please press once more")
	wantPage(t, m.refuseForm(good, chrome[:2]...), http.StatusForbidden, "Please press once more")
	for name, nonce := range map[string]string{
		"none": "", "nonsense": "1x.y", "of another page": m.client.people.pressCheck().Nonce(web.First, "press\x00"+m.sid+"\x00"+m.refusal),
		"of another session": m.client.people.pressCheck().Nonce(web.First, aboutRefusal("00other", m.refusal)),
	} {
		form := url.Values{"sid": {m.sid}, "refusal": {m.refusal}, "nonce": {nonce}}
		if page := m.refuseForm(form); page.Code != http.StatusForbidden {
			t.Errorf("%s: got status %d", name, page.Code)
		}
	}
	m.clock.Advance(2 * time.Hour)
	again := m.refuseForm(good)
	wantPage(t, again, http.StatusForbidden, "Please press once more")
	if body := again.Body.String(); !strings.Contains(body, "End the request</button>") || !strings.Contains(body, `action="`+route.RefusePath+`"`) {
		t.Errorf("the button does something else:\n%s", body)
	}
	if found, err := m.svc.InspectRefusal(t.Context(), m.sid, m.refusal); err != nil || found.State == verification.Revoked {
		t.Fatalf("got %+v, %v: it was refused", found, err)
	}
	wantPage(t, m.pressRefuse(again), http.StatusOK, "The request was ended")
}

const formType = "application/x-www-form-urlencoded"

// oneClick is what a mail program sends.
func (m *mail) oneClick(link string) *httptest.ResponseRecorder {
	m.t.Helper()
	return m.do("POST", link, "List-Unsubscribe=One-Click", "Content-Type", formType)
}

// TestOneClick: RFC 8058 — one POST without a page, cookies or redirects, in
// either encoding.
func TestOneClick(t *testing.T) {
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	if err := errors.Join(writer.WriteField("List-Unsubscribe", "One-Click"), writer.Close()); err != nil {
		t.Fatal(err)
	}
	for kind, body := range map[string]string{formType: "List-Unsubscribe=One-Click", writer.FormDataContentType(): parts.String()} {
		m := newRefuseRig(t)
		var answers []string
		for _, link := range []string{refuseQuery(m.sid, "wrong"), refuseQuery("x", m.refusal), route.RefusePath, m.link(), m.link()} {
			if m.refused() != (len(answers) == 4) {
				t.Errorf("%s: after %d links, refused: %v", kind, len(answers), m.refused())
			}
			rec := m.do("POST", link, body, "Content-Type", kind)
			wantStatus(t, rec, http.StatusOK)
			if got := rec.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("got Content-Type %q", got)
			}
			if rec.Header().Get("Set-Cookie") != "" || rec.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got headers %v", rec.Header())
			}
			answers = append(answers, rec.Body.String())
		}
		for _, answer := range answers {
			if answer != answers[0] {
				t.Errorf("a right link and a wrong one are told apart: %q", answers)
			}
		}
		m.store.err = errors.New("disk is gone")
		rec := m.do("POST", m.link(), body, "Content-Type", kind)
		if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "disk") {
			t.Errorf("got status %d, %s: the mail program should try again", rec.Code, rec.Body)
		}
	}
}

// TestOneClickIsNotGuessed: the words of the standard are in the body; in the
// link they mean nothing, and others neither.
func TestOneClickIsNotGuessed(t *testing.T) {
	m := newRefuseRig(t)
	m.do("GET", m.link()+"&List-Unsubscribe=One-Click", "")
	m.do("POST", m.link()+"&List-Unsubscribe=One-Click", "", "Content-Type", formType)
	m.do("POST", m.link(), "List-Unsubscribe=Two-Clicks", "Content-Type", formType)
	m.do("POST", m.link(), "--x", "Content-Type", "multipart/form-data; boundary=x")
	m.do("POST", m.link(), "List-Unsubscribe=One-Click&x="+strings.Repeat("x", 1<<20), "Content-Type", formType)
	if m.refused() {
		t.Error("the session was ended")
	}
}

// TestRefuseTellsNothing: a wrong link, one to nothing and an old one are
// answered byte for byte alike.
func TestRefuseTellsNothing(t *testing.T) {
	m := newRefuseRig(t)
	pages := map[string]bool{}
	for _, link := range []string{refuseQuery(m.sid, "x"), refuseQuery("x", m.refusal), route.RefusePath, refuseQuery("<b>", "<b>")} {
		page := m.do("GET", link, "")
		wantPage(t, page, http.StatusBadRequest, "This request is too old")
		pages[page.Body.String()] = true
	}
	m.store.err = errors.New("disk is gone")
	wantPage(t, m.do("GET", m.link(), ""), http.StatusInternalServerError, "Something went wrong")
	m.store.err = nil
	m.clock.Advance(48 * time.Hour) // the session is gone
	for _, page := range []*httptest.ResponseRecorder{
		m.do("GET", m.link(), ""), m.refuseForm(url.Values{"sid": {m.sid}, "refusal": {m.refusal}}),
	} {
		wantPage(t, page, http.StatusBadRequest, "This request is too old")
		pages[page.Body.String()] = true
	}
	if len(pages) != 1 {
		t.Errorf("got %d different pages", len(pages))
	}
}

// TestRefuseMethodsAndPaths: no script may call it, and no spelling of the path
// reaches the homeserver.
func TestRefuseMethodsAndPaths(t *testing.T) {
	r := newRefuseRig(t)
	for _, method := range []string{"OPTIONS", "PUT", "DELETE", "PATCH"} {
		rec := r.do(method, r.link(), "", "Origin", "https://evil.example")
		wantStatus(t, rec, http.StatusMethodNotAllowed)
		if rec.Header().Get("Allow") == "" || rec.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got headers %v", method, rec.Header())
		}
	}
	for _, path := range []string{"/_threepid/refuse/", "/_threepid//refuse", "/_threepid/Refuse", "/_threepid/%72efuse"} {
		wantPage(t, r.do("GET", path, ""), http.StatusBadRequest, "This request is too old") // what is meant is clear
		wantError(t, r.do("POST", path, "{}"), http.StatusNotFound, "M_UNRECOGNIZED")
	}
	for _, path := range []string{"/_threepid/x/../refuse", "/_threepid/refused", "/_threepid/"} {
		wantError(t, r.do("GET", path, ""), http.StatusNotFound, "M_UNRECOGNIZED")
	}
	if len(r.hs.Requests()) != 0 || r.refused() {
		t.Errorf("%d requests have reached the homeserver; refused: %v", len(r.hs.Requests()), r.refused())
	}
}
