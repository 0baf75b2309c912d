// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestPathsOfFallbackPages: which stage a path is about, for those who may ask for it.
func TestPathsOfFallbackPages(t *testing.T) {
	for target, want := range map[string]string{
		"GET auth/m.login.terms/fallback/web": "m.login.terms", "HEAD auth/x/fallback/web": "x", "POST auth/x/fallback/web": "x", "POST auth/x/fallback/web/and/more": "x",
		"GET auth/x/fallback/webpage": "x", "PUT auth/x/fallback/web": "none", "GET auth/x/y/fallback/web": "none", "GET auth/x/fallback": "none", "GET oauth/x/fallback/web": "none",
	} {
		method, tail, _ := strings.Cut(target, " ")
		stage, ok := fallbackOf(&wire.Call{R: httptest.NewRequest(method, "/", nil), Route: route.Route{Tail: tail}})
		if !ok {
			stage = "none"
		}
		if stage != want {
			t.Errorf("%s: got %q, want %q", target, stage, want)
		}
	}
	for stage, want := range map[string]bool{"m.login.sso": false, "m.login.cas": false, "m.login.terms": true, "org.example.x": true} {
		if showsName(stage) != want {
			t.Errorf("%s: the page shows its name: %v", stage, !want)
		}
	}
	for kind, want := range map[string]bool{"text/html; charset=utf-8": true, "text/plain": true, "application/json": true, "": true, ";": true, "image/png": false, "application/jsonx": false} {
		if isText(200, http.Header{"Content-Type": {kind}}) != want {
			t.Errorf("%q is read by a person: %v", kind, !want)
		}
	}
}

// TestNamesInPages are replaced as they are written; what is too short to be one stays.
func TestNamesInPages(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a/b&c<d>e f", `a/b&c<d>e f|a/b&amp;c&lt;d&gt;e f|a%2Fb%26c%3Cd%3Ee+f|a%2Fb&c%3Cd%3Ee%20f|a/b`, `N|N|N|N|a/b`},
		{"eight_ch", "eight_ch", "N"},
		{"seven_c", "seven_c", "seven_c"},
		{"", "text", "text"},
	} {
		if got := string(replaceName([]byte(c.text), threepid.UIASession(c.name), "N")); got != c.want {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}

// page asks for the page of a stage, which is answered with an answer of the homeserver's.
func (r *rig) fallbackPage(method, stage, query, form string, answer wire.Next) (rec *httptest.ResponseRecorder, seen string) {
	r.t.Helper()
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		if length := req.Header["Content-Length"]; req.Method != "POST" && length != nil {
			r.t.Errorf("a page is asked for with %s bytes", length)
		}
		seen = req.URL.RawQuery + "|" + string(raw) + "|" + req.Header.Get("Content-Type") + "|" + fmt.Sprint(req.ContentLength) + "|" + req.RequestURI
		return answer(w, req)
	}
	path := "/_matrix/client/r0/auth/" + stage + "/fallback/web"
	return r.do(method, path+query, form, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"), seen
}

// TestFallbackPagesSayWhatTheyAreSaid: redirects are sealed, what is no text and what is
// not about a name goes on as it is, and so does a single sign-on.
func TestFallbackPagesSayWhatTheyAreSaid(t *testing.T) {
	r := newRig(t, options{})
	name := r.svc.SealConversation(verification.Conversation{Session: homeserverName, Endpoint: registrationEndpoint})
	where := "/_matrix/client/r0/auth/m.login.terms/fallback/web"
	form := "application/x-www-form-urlencoded; charset=utf-8"
	redirect := upstream(302, homeserverName, "Location", "https://x.org/?session="+homeserverName, "Content-Type", "text/html")
	image := upstream(200, homeserverName, "Content-Type", "image/png")
	for what, c := range map[string]struct {
		method, stage, query, form string
		answer                     wire.Next
		seen, location, body       string
	}{
		"redirect":   {"GET", "m.login.terms", string("?session=" + name), "", redirect, "session=" + homeserverName + "||" + form + "|0|" + where + "?session=" + homeserverName, string("https://x.org/?session=" + name), string(name)},
		"an image":   {"GET", "m.login.terms", string("?session=" + name), "", image, "session=" + homeserverName + "||" + form + "|0|" + where + "?session=" + homeserverName, "", homeserverName},
		"no name":    {"GET", "m.login.terms", "?a=b;", "", redirect, "", "", ""},
		"of none":    {"GET", "m.login.terms", "?a=%20b", "", redirect, "a=%20b||" + form + "|0|" + where + "?a=%20b", "https://x.org/?session=" + homeserverName, homeserverName},
		"sso":        {"GET", "m.login.sso", string("?session=" + name), "", redirect, "session=" + homeserverName + "||" + form + "|0|" + strings.Replace(where, "terms", "sso", 1) + "?session=" + homeserverName, "https://x.org/?session=" + homeserverName, homeserverName},
		"a form":     {"POST", "m.login.terms", "", string("x=%20a&session=" + name), redirect, "|session=" + homeserverName + "&x=+a|" + form + "|" + fmt.Sprint(len("session=&x=+a")+len(homeserverName)) + "|" + where, string("https://x.org/?session=" + name), string(name)},
		"both":       {"POST", "m.login.terms", string("?session=" + name), string("session=" + name), redirect, "session=" + homeserverName + "|session=" + homeserverName + "|" + form + "|" + fmt.Sprint(len("session=")+len(homeserverName)) + "|" + where + "?session=" + homeserverName, string("https://x.org/?session=" + name), string(name)},
		"other form": {"POST", "m.login.terms", "", "x=%20a", redirect, "|x=%20a|" + form + "|6|" + where, "https://x.org/?session=" + homeserverName, homeserverName},
		"empty form": {"POST", "m.login.terms", "", "", redirect, "||" + form + "|0|" + where, "https://x.org/?session=" + homeserverName, homeserverName},
		"two forms":  {"POST", "m.login.terms", "", string("x=a;session=" + name), redirect, "", "", ""},
	} {
		rec, seen := r.fallbackPage(c.method, c.stage, c.query, c.form, c.answer)
		if c.seen == "" {
			if wantError(t, rec, http.StatusBadRequest, "M_INVALID_PARAM"); seen != "" {
				t.Errorf("%s: the homeserver saw %q", what, seen)
			}
			continue
		}
		_, there := rec.Header()["Location"]
		if got := rec.Header().Get("Location"); seen != c.seen || got != c.location || there != (got != "") || rec.Body.String() != c.body {
			t.Errorf("%s: the homeserver saw %q, want %q\nand the client %q, %q", what, seen, c.seen, got, rec.Body)
		}
	}
	if rec := r.do("POST", where, strings.Repeat("x", DefaultMaxBody+1), "Content-Type", "application/x-www-form-urlencoded"); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d for a form that is too large", rec.Code)
	}
	for _, kind := range []string{"application/x-www-form-urlencoded; a", "application/json", ""} {
		wantError(t, r.do("POST", where, "x=a", "Content-Type", kind), http.StatusBadRequest, "M_INVALID_PARAM")
	}
	if rec := r.do("POST", where, "", "Content-Type", "multipart/form-data"); rec.Code == http.StatusBadRequest {
		t.Errorf("got %d %s for no form at all", rec.Code, rec.Body)
	}
}

// TestAPageThatFailsIsNobodys: whoever answers for the homeserver is told so.
func TestAPageThatFailsIsNobodys(t *testing.T) {
	r := newRig(t, options{})
	name := r.svc.SealConversation(verification.Conversation{Session: homeserverName, Endpoint: registrationEndpoint})
	req := httptest.NewRequest("GET", "/_matrix/client/r0/auth/m.login.terms/fallback/web?"+url.Values{"session": {string(name)}}.Encode(), bytes.NewReader(nil))
	if err := r.client.ServeHTTP(httptest.NewRecorder(), req, func(http.ResponseWriter, *http.Request) error { return errDisk }); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the homeserver's failure", err)
	}
}
