// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// What browsers send when somebody presses a button of ours.
var (
	chrome = []string{
		"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
		"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1",
	}
	lynx = []string{"User-Agent", "Lynx/2.9.0dev.12 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.8"}
)

// stillPending fails the test if somebody has confirmed the session.
func (r *rig) stillPending(sid, why string) {
	r.t.Helper()
	if page := r.openLink(sid).Body.String(); strings.Contains(page, "Already confirmed") {
		r.t.Errorf("%s: the session was confirmed", why)
	}
}

// scanner is a program that gives itself out as a browser, as those that follow
// links in mail do.
var scanner = []string{"User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"}

// TestAPersonMayBeQuick: a browser that tells of a person's gesture is believed,
// and what does not give itself out as a browser has only its nonce to show.
func TestAPersonMayBeQuick(t *testing.T) {
	for name, header := range map[string][]string{"gesture": chrome, "text browser": {"User-Agent", "Lynx/2.9.0"}, "nameless": nil} {
		r := newPageRig(t, options{})
		sid := r.request("account/password", "s", "alice@x.org")
		if page := r.post(fields(r.openLink(sid)), header...); page.Code != http.StatusOK {
			t.Errorf("%s: got status %d, want 200", name, page.Code)
		}
	}
}

// TestScannersConfirmNothing: those that follow the link, that send the form of
// the page at once, and that make one up.
func TestScannersConfirmNothing(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("account/password", "s", "alice@x.org")
	token := r.box.last(t).Token
	for range 5 {
		r.openLink(sid)
		r.do("HEAD", linkQuery("sid", sid, "token", token), "")
	}
	r.stillPending(sid, "links followed")

	ask := r.openLink(sid)
	wantCodePage(t, r.post(fields(ask), scanner...))
	wantCodePage(t, r.post(url.Values{"sid": {sid}, "token": {token}}))
	r.stillPending(sid, "a form that was sent at once, and one without a nonce")

	for name, header := range map[string][]string{
		"a form on another site":     {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1"},
		"a form on a neighbour":      {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a script":                   {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"a frame":                    {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"a browser reading ahead":    {"Sec-Purpose", "prefetch"},
		"a browser that says nobody": append([]string{"Sec-Fetch-User", ""}, chrome[:8]...),
		"a name that is not its own": chrome[:2],
		"another such name":          {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
	} {
		again := r.press(r.openLink(sid), header...)
		wantCodePage(t, again)
		wantCodePage(t, r.press(again, header...)) // it presses what it is shown once more
		r.stillPending(sid, name)
	}
}

// TestNobodyIsLockedOut: each of these people gets through, at the latest with
// the code that stands beside the link in the mail.
func TestNobodyIsLockedOut(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		second bool
	}{
		"today's browser":               {chrome, false},
		"a text browser":                {lynx, false},
		"nothing but a form":            {nil, false},
		"an old browser":                {[]string{"User-Agent", "Mozilla/5.0 (Windows NT 6.1; rv:60.0) Gecko/20100101 Firefox/60.0"}, false},
		"Safari, which names no user":   {[]string{"User-Agent", "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false},
		"behind a proxy that strips":    {chrome[:2], true},
		"a reload of the answer":        {append([]string{"Sec-Fetch-Site", "none"}, chrome[4:]...), false},
		"a script that presses for you": {chrome[:8], true},
	} {
		r := newPageRig(t, options{})
		sid := r.request("register", "s", "a@x.org")
		page := r.press(r.openLink(sid), c.header...)
		if c.second {
			wantCodePage(t, page)
			page = r.typed(page, verification.PressCode(r.keys, sid, r.box.last(t).Token), c.header...)
		}
		if page.Code != http.StatusOK {
			t.Errorf("%s: locked out", name)
		}
		wantPage(t, page, http.StatusOK, "Confirmed")
	}
}

// TestTheCodeBesideTheLink is worth nothing but together with its link, and on
// the page that asks for it.
func TestTheCodeBesideTheLink(t *testing.T) {
	r := newPageRig(t, options{})
	other := r.request("register", "s2", "b@x.org")
	foreign := verification.PressCode(r.keys, other, r.box.last(t).Token)
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	code := verification.PressCode(r.keys, sid, token)
	again := r.press(r.openLink(sid), chrome[:2]...)
	good := fields(again)
	if good.Get("link") != token || !strings.Contains(again.Body.String(), "a@x.org") || strings.Contains(again.Body.String(), code) {
		t.Errorf("got fields %v, want the link's token, the address, and not the code", good)
	}
	for range 2 * verification.DefaultMaxTries { // no try of the session's is used up
		wantCodePage(t, r.typed(again, foreign, chrome...))
	}
	for name, change := range map[string]func(url.Values){
		"no nonce":           func(v url.Values) { v.Del("nonce") },
		"the button's nonce": func(v url.Values) { v.Set("nonce", fields(r.openLink(sid)).Get("nonce")) },
		"no code":            func(v url.Values) { v.Del("token") },
		"the token for code": func(v url.Values) { v.Set("token", token) },
	} {
		form := url.Values{"sid": good["sid"], "link": good["link"], "nonce": good["nonce"], "token": {code}}
		change(form)
		wantCodePage(t, r.post(form, chrome...))
		r.stillPending(sid, name)
	}
	form := url.Values{"sid": good["sid"], "nonce": good["nonce"], "link": {"x" + token}, "token": {code}}
	wantPage(t, r.post(form, chrome...), http.StatusBadRequest, "This link does not work")
	if answer := r.do("POST", linkPath, `{"sid":"`+sid+`","token":"`+code+`"}`, "Content-Type", "application/json"); strings.Contains(answer.Body.String(), "true") {
		t.Errorf("the code alone has confirmed: %s", answer.Body)
	}
	r.stillPending(sid, "all of these")
	wantPage(t, r.typed(again, " "+code[:3]+" "+code[3:], chrome[:2]...), http.StatusOK, "Confirmed")
	wantPage(t, r.typed(again, code, chrome[:2]...), http.StatusOK, "Already confirmed")
}

// TestLateReaders: a page that was open for hours is shown again, and counts
// then, as long as the token lives.
func TestLateReaders(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	early := r.openLink(sid)
	r.clock.Advance(50 * time.Minute)
	reloaded := r.openLink(sid)
	wantPage(t, r.press(early), http.StatusOK, "Confirmed") // survives a reload elsewhere
	wantPage(t, r.press(reloaded), http.StatusOK, "Already confirmed")
}

// TestNonceForgeries: a nonce counts for its own session, token, page and
// press, and for an hour.
func TestNonceForgeries(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	good := fields(r.openLink(sid))
	other := r.request("register", "s2", "b@x.org")
	foreign := fields(r.openLink(other))
	nonce := good.Get("nonce")
	head, mac, _ := strings.Cut(nonce, ".")
	older := string(head[0]) + "0" + head[2:]
	r.clock.Advance(5 * time.Second)
	for name, forged := range map[string]string{
		"none": "", "nonsense": "x", "a dot": ".", "no press": "." + mac, "of another session": foreign.Get("nonce"),
		"made a second press": "2" + nonce[1:], "made older": older + "." + mac, "cut": nonce[:len(nonce)-1], "longer": nonce + "A",
		"another key": head + "." + mac[:len(mac)-4] + "AAAA", "a user's session": r.svc.UIASession("@alice:example.org", "page"),
		"of the right user": head + "." + r.svc.UIASession("page", "press\x00"+sid+"\x00"+token), "huge": strings.Repeat(nonce, 10000),
	} {
		form := url.Values{"sid": {sid}, "token": {token}, "nonce": {forged}}
		if page := r.post(form); page.Code != http.StatusForbidden && page.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got status %d", name, page.Code)
		}
		r.stillPending(sid, name)
	}
	r.clock.Advance(time.Hour)
	if page := r.post(good); page.Code == http.StatusOK {
		t.Error("the nonce works after an hour")
	}
}

// TestNonceWorksOnEveryNode: another process with the same key takes it.
func TestNonceWorksOnEveryNode(t *testing.T) {
	a, b := newPageRig(t, options{}), newPageRig(t, options{})
	sid := a.request("register", "s", "a@x.org")
	page := fields(a.openLink(sid))
	b.clock.Advance(5 * time.Second)
	req := url.Values{"sid": {sid}, "token": {a.box.last(t).Token}, "nonce": {page.Get("nonce")}}
	// The other store does not have the session: to be told so is to have
	// passed the check.
	wantPage(t, b.post(req), http.StatusBadRequest, "This request is too old")
	plain := httptest.NewRequest("POST", linkPath, http.NoBody)
	if !b.client.people.pressCheck().Human(plain, page.Get("nonce"), "press\x00"+sid+"\x00"+a.box.last(t).Token) {
		t.Error("the nonce of one node is refused by the other")
	}
}

// TestMachineThatClicksACodeHasToType: where the mail has a code, only who can
// read it gets on.
func TestMachineThatClicksACodeHasToType(t *testing.T) {
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	page := r.post(fields(r.openLink(sid)), scanner...)
	wantPage(t, page, http.StatusForbidden, "Create your account?")
	for _, want := range []string{`name="token" dir="ltr"`, "Type the code from the mail instead."} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page has no %q:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body.String(), token) {
		t.Error("the page tells the machine the code")
	}
	form := fields(page)
	form.Set("token", token)
	wantPage(t, r.post(form), http.StatusOK, "Confirmed")
}

// TestMachinesOfOurOwnNeedNoPage: submit_url is for clients.
func TestMachinesOfOurOwnNeedNoPage(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	wantStatus(t, r.submitJSON(submitBody(sid, "s", r.box.last(t).Token)), http.StatusOK)
}
