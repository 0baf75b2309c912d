// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/element"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// listed is a rig that follows links to one app.
func listed(t *testing.T) *rig {
	t.Helper()
	return newPageRig(t, options{config: func(c *Config) { c.NextLinkOrigins = []string{"https://App.example:443"} }})
}

// askWith asks for a mail with a next_link, which is any JSON.
func (r *rig) askWith(secret, link string) (sid string) {
	r.t.Helper()
	rec := r.do("POST", "/_matrix/client/r0/register/email/requestToken",
		`{"client_secret":"`+secret+`","email":"a@x.org","send_attempt":1,"next_link":`+link+`}`)
	wantStatus(r.t, rec, http.StatusOK)
	sid, _ = decoded(r.t, rec)["sid"].(string)
	return sid
}

// wantNotFollowed confirms the session of the newest message, and wants a page of
// ours that says where to go on and leads nowhere else.
func wantNotFollowed(t *testing.T, r *rig, sid, link string) {
	t.Helper()
	m := r.box.last(t)
	if m.SID != threepid.SID(sid) || m.Token == "" {
		t.Fatalf("no message was sent for the session with %q", link)
	}
	done := r.confirm(sid, string(m.Token))
	if m.Medium == threepid.MSISDN {
		done = r.submitPhone(sid, "s", string(m.Token))
	}
	wantStatus(t, done, http.StatusOK)
	text := html.UnescapeString(done.Body.String())
	if done.Header().Get("Location") != "" || strings.Contains(text, "href=") || strings.Contains(text, "evil.example") {
		t.Errorf("%q is followed: %v\n%s", link, done.Header(), text)
	}
	if m.Medium == threepid.Email && !strings.Contains(text, "Go back to the app where you started") {
		t.Errorf("the page does not say where to go on:\n%s", text)
	}
}

// TestF11_ALinkThatIsNotFollowedEndsNothing: whatever next_link is, the mail goes out,
// and nobody is led to where nobody has allowed.
func TestF11_ALinkThatIsNotFollowedEndsNothing(t *testing.T) {
	for _, link := range []string{
		"file:///etc/passwd", "javascript:alert(1)", "https://evil.example/", "http://app.example/", "https://app.example:8443/",
		"https://app.example.evil.example/", "https://app.example@evil.example/", "https://user@app.example/", "//app.example/",
		"https:app.example", "https:/\\evil.example", "https://evil.example\\@app.example/", "/relative", "https://app.example/\n",
		"https://app.example/" + strings.Repeat("x", maxNextLink), "vector://vector/webapp/#/register", "://", "%", " ", "",
		"https://app.example/a b", `https://app.example/a\b`,
	} {
		r := listed(t)
		wantNotFollowed(t, r, r.askWith("s", string(wire.Encoded(link))), link)
	}
	for _, notText := range []string{"null", "5", "true", "{}", `["https://app.example/"]`} {
		r := listed(t)
		wantNotFollowed(t, r, r.askWith("s", notText), notText)
	}
	none := newPageRig(t, options{}) // as it comes
	wantNotFollowed(t, none, none.askWith("s", `"https://app.example/"`), "of no list")
}

func TestF10_F11_NextLink(t *testing.T) {
	r := listed(t)
	sid := r.askWith("s", `"https://app.example/?a=b&c#/register"`)
	page := r.openLink(sid)
	if got := page.Header().Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' https://app.example;") {
		t.Errorf("browsers will not follow the redirect: %s", got)
	}
	if strings.Contains(page.Body.String(), "href=") {
		t.Error("a page that asks leads past its question")
	}
	machine := r.submitJSON(submitBody(sid, "s", string(r.box.last(t).Token)))
	wantStatus(t, machine, http.StatusOK) // POST by a machine ignores next_link
	done := r.press(page)
	if h := done.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the address of the page, which is a secret, goes on with its reader: %v", h)
	}
	if got, want := done.Header().Get("Location"), "https://app.example/?a=b&c#/register?sid="+sid; done.Code/100 != 3 || got != want {
		t.Errorf("got status %d and Location %q, want %q", done.Code, got, want)
	}
	r.client.cfg.NextLinkOrigins = nil // a new configuration
	wantStatus(t, r.press(page), http.StatusOK)
}

// TestF10_TheSIDIsWhereClientsLook: at the very end, in the fragment if there is one.
func TestF10_TheSIDIsWhereClientsLook(t *testing.T) {
	for link, want := range map[string]string{
		"https://app.example":                     "https://app.example?sid=00x",
		"https://app.example/":                    "https://app.example/?sid=00x",
		"https://app.example/?":                   "https://app.example/?sid=00x",
		"https://app.example/?a":                  "https://app.example/?a&sid=00x",
		"https://app.example/?a&":                 "https://app.example/?a&sid=00x",
		"https://app.example/?a=?":                "https://app.example/?a=?sid=00x",
		"https://app.example/#":                   "https://app.example/#?sid=00x",
		"https://app.example/#?":                  "https://app.example/#?sid=00x",
		"https://app.example/#/register":          "https://app.example/#/register?sid=00x",
		"https://app.example/#/register?a=b":      "https://app.example/#/register?a=b&sid=00x",
		"https://app.example/#/register?a=b&":     "https://app.example/#/register?a=b&sid=00x",
		"https://app.example/?q#/register":        "https://app.example/?q#/register?sid=00x",
		"https://app.example/?q&#/register?":      "https://app.example/?q&#/register?sid=00x",
		"https://app.example/?q=1#/register?a#b?": "https://app.example/?q=1#/register?a#b?sid=00x",
		"https://app.example/%C3%A9#/é":           "https://app.example/%C3%A9#/%C3%A9?sid=00x",
		"https://app.example/À~":                  "https://app.example/%C3%80~?sid=00x",
	} {
		if got := withSID(link, "00x"); got != want {
			t.Errorf("%q becomes %q, want %q", link, got, want)
		}
	}
}

// TestF10_EveryLinkKeepsWhatItHas: nothing of a link is lost or written otherwise, its
// origin least of all, and the sid is a parameter of its last part.
func TestF10_EveryLinkKeepsWhatItHas(t *testing.T) {
	c := listed(t).client
	for link, want := range map[string]bool{
		"https://app.example/!~": true, "https://app.example/" + strings.Repeat("x", maxNextLink-len("https://app.example/")): true,
		"https://app.example/" + strings.Repeat("x", maxNextLink+1-len("https://app.example/")): false,
	} {
		if got := c.cfg.nextLinkAllowed(link); got != want {
			t.Errorf("%.40s of %d bytes is followed: %v, want %v", link, len(link), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`([a-z0-9/=._~-]|%[0-9A-F]{2}|é){0,12}`)
		link := "https://app.example/" + part.Draw(t, "path")
		if rapid.Bool().Draw(t, "has a query") {
			link += "?" + part.Draw(t, "query") + rapid.SampledFrom([]string{"", "&"}).Draw(t, "end of the query")
		}
		if rapid.Bool().Draw(t, "has a fragment") {
			link += "#/" + part.Draw(t, "screen")
			if rapid.Bool().Draw(t, "has parameters") {
				link += "?" + part.Draw(t, "parameters") + rapid.SampledFrom([]string{"", "&"}).Draw(t, "end of the parameters")
			}
		}
		if !c.cfg.nextLinkAllowed(link) {
			t.Skip("url.Parse does not take it")
		}
		sent := withSID(link, "00sid")
		rest, ok := strings.CutPrefix(sent, ascii(link))
		if !ok || strings.TrimLeft(rest, "?&") != "sid=00sid" || len(rest) > len("&sid=00sid") {
			t.Fatalf("%q becomes %q", link, sent)
		}
		u, err := url.Parse(sent)
		if err != nil || u.Scheme+"://"+u.Host != "https://app.example" {
			t.Fatalf("%q leads to %v, %v", sent, u, err)
		}
		raw := u.RawQuery
		if strings.Contains(sent, "#") {
			_, raw, _ = strings.Cut(u.EscapedFragment(), "?")
		}
		if values, _ := url.ParseQuery(raw); values.Get("sid") != "00sid" {
			t.Errorf("%q has no sid in its last part", sent)
		}
	})
}

// TestF10_ElementGoesOnInAnotherTab: its own link leads back to the registration, with
// nothing that only the first tab knows.
func TestF10_ElementGoesOnInAnotherTab(t *testing.T) {
	r := listed(t)
	begun := element.Resume{ClientSecret: "s", HomeserverURL: "https://matrix.example.org", IdentityURL: "https://vector.im", Session: "a+b/c="}
	link := element.RegistrationLink("https://app.example/", begun)
	sid := r.askWith("s", string(wire.Encoded(link)))
	begun.SID = sid
	where := r.press(r.openLink(sid)).Header().Get("Location")
	if got, ok := element.Resumed(where); !ok || got != begun {
		t.Errorf("from %q Element goes on with %+v, %v, want %+v", where, got, ok, begun)
	}
}

// TestAPageOfAUsedLinkOffersTheWayOn, for who has lost the tab that it led to.
func TestAPageOfAUsedLinkOffersTheWayOn(t *testing.T) {
	r := listed(t)
	sid := r.askWith("s", `"https://app.example/#/register?client_secret=s&session_id=x"`)
	wantStatus(t, r.submitJSON(submitBody(sid, "s", string(r.box.last(t).Token))), http.StatusOK)
	page := r.openLink(sid)
	wantPage(t, page, http.StatusOK, "Already confirmed")
	want := `href="https://app.example/#/register?client_secret=s&session_id=x&sid=` + sid + `"`
	if !strings.Contains(html.UnescapeString(page.Body.String()), want) || !strings.Contains(page.Body.String(), "Go on") {
		t.Errorf("the page has no %s:\n%s", want, page.Body)
	}
	if got := page.Header().Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("got Referrer-Policy %q: the address of the page is a secret", got)
	}
	r.client.cfg.NextLinkOrigins = nil
	if page := r.openLink(sid); strings.Contains(page.Body.String(), "href=") {
		t.Errorf("a link that is no longer listed is offered:\n%s", page.Body)
	}
}
