// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// FuzzSubmission feeds the parsers of what comes back from the reader of a
// message: JSON, forms in one part and in many, and the query of a link.
func FuzzSubmission(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/json", `{"sid":"s","client_secret":"c","token":" 123-456 "}`},
		{"application/json; charset=utf-16", `{"sid":"s","client_secret":"c","token":""}`},
		{"application/x-www-form-urlencoded", "sid=s&client_secret=c&token=%D9%A1%D9%A2"},
		{"application/x-form-www-urlencoded", "sid=s&sid=t&client_secret=c&token=1"},
		{"application/x-www-form-urlencoded", "sid=s;client_secret=c&token=%zz"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"sid\"; filename=\"/etc/x\"\r\n\r\n1\r\n--b"},
		{"multipart/form-data", ""},
		{"", ""},
		{"text/plain;;", "\x00"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		post := func() *wire.Call {
			req := httptest.NewRequest(http.MethodPost, route.PagePath(threepid.Email), strings.NewReader(body))
			req.Header.Set("Content-Type", contentType)
			return &wire.Call{W: httptest.NewRecorder(), R: req, MaxBody: 1 << 12}
		}
		sub, err := submission(post())
		if err != nil && wire.ErrorOf(err).Status >= 500 {
			t.Errorf("submission: %v", err)
		}
		if err == nil {
			if sub.ClientSecret == nil {
				t.Error("a machine's submission without a client_secret")
			}
			mustBeNormal(t, string(sub.Token))
		}
		for name, parse := range map[string]func(*wire.Call) (url.Values, error){"form": postedForm, "refusal": refusalForm} {
			values, err := parse(post())
			if err != nil && !errors.Is(err, verification.ErrNoSession) && wire.ErrorOf(err).Status >= 500 {
				t.Errorf("%s: %v", name, err)
			}
			mustBeNormal(t, string(pageSubmission(values).Token))
		}
	})
}

// mustBeNormal: a token that was normalized is its own normal form.
func mustBeNormal(t *testing.T, token string) {
	t.Helper()
	if token == "" {
		return
	}
	if again, ok := input.Code(token); !ok || again != token || !utf8.ValidString(token) {
		t.Errorf("token %q is normalized again to %q, %v", token, again, ok)
	}
}

// asBrowsersSee is an allowed link of FuzzNextLink: what a browser takes for
// another origin does not match it.
var asBrowsersSee = regexp.MustCompile(`^(?i:https://app\.example(:443|:)?|http://localhost:8080)([/?#][^\x00-\x20\x7f\\]*)?$`)

// FuzzNextLink: no link leads a reader to an origin that is not on the list.
func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{
		"https://app.example", "https://app.example/", "HTTPS://APP.example:443/a?b=c#d", "http://localhost:8080?x", "https://app.example:/",
		"https://app.example@evil.example/", "https://evil.example/@app.example", `https://app.example\@evil.example`, "https://app.example.evil.example",
		"//app.example/", "https:app.example", "https:///app.example", "https://app.example:8443/", "http://app.example/", "javascript:alert(1)//https://app.example/",
		"https://app.example/\r\nLocation: https://evil.example", " https://app.example/", "https://app.example/%0d%0a", "https://app.example%2eevil.example/",
		"https://[::1]/", "https://app.example\t.evil.example/", "https://app。example/", "https://app.example#@evil.example/", "https://app.example?#", "https://%61pp.example/",
	} {
		f.Add(seed)
	}
	cfg := Config{PublicURL: "https://m.example", IdentityName: "localhost:8443", NextLinkOrigins: []string{"https://app.example", "http://localhost:8080"}}
	if err := cfg.Normalize(); err != nil {
		f.Fatal(err)
	}
	c := &Client{cfg: cfg}
	f.Fuzz(func(t *testing.T, link string) {
		got := c.cfg.nextLink(wire.Object{"next_link": wire.Encoded(link)})
		if got == "" {
			return
		}
		if !asBrowsersSee.MatchString(got) {
			t.Errorf("%q is allowed", got)
		}
		sent := withSID(got, "00sid")
		_, err := url.Parse(sent)
		if err != nil || !asBrowsersSee.MatchString(sent) || !c.cfg.nextLinkAllowed(sent) && len(sent) <= maxNextLink {
			t.Fatalf("%q becomes %q, %v", got, sent, err)
		}
		if last := sent[strings.LastIndexAny(sent, "?&")+1:]; last != "sid=00sid" || !strings.HasPrefix(sent, ascii(got)) {
			t.Errorf("%q becomes %q, which does not end with the sid", got, sent)
		}
	})
}
