// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// ownPaths are paths in our space: those that there are, and others.
var ownPaths = []string{
	linkPath, "/_threepid/validate/msisdn/submitToken", route.RefusePath, route.ProbePath, route.ProbePath + "?nonce=x",
	"/_threepid/", "/_threepid/x", "/_threepid/validate", "/_threepid/validate/", "/_threepid/validate/fax/submitToken",
	"/_threepid/validate/email/submitTok", "/_threepid/validate/email/submitTokens", "/_threepid/validate/email", "/_Threepid/X",
	"//_threepid/x", "/_threepid/../_threepid/x", "/_threepid/x;y?a;b", "/_threepid/x?%zz", "/_threepid/%00", "/_threepid/" + strings.Repeat("%3B", 2000),
	linkPath + "?a;b", linkPath + "?%zz", linkPath + "?" + strings.Repeat("a", 9000), "/_threepid/feedback/x", "/_threepid/sms/x",
	"/_threepid/submitToken", "/_threepid/refused", "/_threepid/_matrix/client/r0/register", "/_threepid/..;/_matrix/client/r0/register",
}

// TestPeopleGetPages: whatever a browser asks for in our space, or sends a form to,
// the answer is a page in the reader's language, which nobody may cache or frame; and
// nothing of it reaches the homeserver.
func TestPeopleGetPages(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, path := range ownPaths {
		for name, ask := range map[string]func(r *rig) *httptest.ResponseRecorder{
			"GET": func(r *rig) *httptest.ResponseRecorder {
				return r.do("GET", path, "", append(browser, "Accept-Language", "ar")...)
			},
			"HEAD": func(r *rig) *httptest.ResponseRecorder {
				return r.do("HEAD", path, "", append(browser, "Accept-Language", "ar")...)
			},
			"a form": func(r *rig) *httptest.ResponseRecorder {
				return r.do("POST", path, "a=b", "Content-Type", form, "Accept-Language", "ar")
			},
			"no form": func(r *rig) *httptest.ResponseRecorder {
				return r.do("POST", path, "%zz", "Content-Type", form, "Accept-Language", "ar")
			},
			"in parts": func(r *rig) *httptest.ResponseRecorder {
				return r.do("POST", path, "x", "Content-Type", "multipart/form-data; boundary=x", "Accept-Language", "ar")
			},
			"a method": func(r *rig) *httptest.ResponseRecorder {
				return r.do("PUT", path, "a=b", "Content-Type", form, "Accept-Language", "ar")
			},
			"a big one": func(r *rig) *httptest.ResponseRecorder {
				return r.do("POST", path, strings.Repeat("a", 1<<20), "Content-Type", form, "Accept-Language", "ar")
			},
		} {
			r := newPageRig(t, options{})
			page := ask(r)
			h := page.Header()
			if page.Code < 400 || page.Code > 499 || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Content-Language") != "ar" {
				t.Errorf("%.60s, %s: got status %d, %s in %q", path, name, page.Code, h.Get("Content-Type"), h.Get("Content-Language"))
			}
			if h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%.60s, %s: got headers %v", path, name, h)
			}
			if len(r.hs.Requests()) != 0 {
				t.Errorf("%.60s, %s has reached the homeserver", path, name)
			}
		}
	}
}

// TestMachinesGetJSON: what asks for no page gets none, but for the links that are
// for people only.
func TestMachinesGetJSON(t *testing.T) {
	for _, path := range ownPaths {
		asks := [][]string{{"GET", "Accept", "application/json"}, {"POST", "Content-Type", "application/json"}, {"PUT"}, {"DELETE", "Accept", "*/*"}, {"POST", "Accept", "text/html"}}
		isLink := strings.HasPrefix(path, linkPath) || strings.HasPrefix(path, "/_threepid/validate/msisdn/submitToken") || path == route.RefusePath
		if !isLink {
			asks = append(asks, []string{"GET"}, []string{"GET", "Accept", "*/*"}, []string{"GET", "Accept", "text/html;q=0, application/json"})
		}
		for _, ask := range asks {
			r := newPageRig(t, options{})
			answer := r.do(ask[0], path, `{}`, ask[1:]...)
			if path == route.RefusePath || isLink && ask[0] == "GET" && !strings.ContainsAny(path, ";%") && len(path) < web.MaxLink {
				continue // pages for everybody, and a method that has no answer
			}
			if path == route.ProbePath+"?nonce=x" && ask[0] == "GET" {
				wantStatus(t, answer, http.StatusOK)
				continue
			}
			if got := answer.Header().Get("Content-Type"); answer.Code < 400 || answer.Code > 499 || got != "application/json" {
				t.Errorf("%.60s, %v: got status %d, %s", path, ask, answer.Code, got)
			}
		}
	}
}

// TestPagesThatAskToWait: where time mends it, a page says how long that takes.
func TestPagesThatAskToWait(t *testing.T) {
	broken := &brokenStore{}
	r := newPageRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	sid := r.request("register", "s", "alice@x.org")
	ask := r.openLink(sid)
	refusal := r.box.last(t).Refusal
	broken.err = store.ErrClosed
	for name, page := range map[string]*httptest.ResponseRecorder{
		"the link": r.openLink(sid, browser...), "its button": r.press(ask), "its help": r.do("GET", linkQuery("sid", sid, "help", "1"), ""),
		"to refuse": r.do("GET", refuseQuery(sid, string(refusal)), ""),
	} {
		wantPage(t, page, http.StatusServiceUnavailable, "Please try again later")
		if page.Header().Get("Retry-After") != "5" || !strings.Contains(page.Body.String(), "try again in 1 minute.") {
			t.Errorf("%s: it does not say when: %v %s", name, page.Header(), page.Body)
		}
	}
	wantError(t, r.submitJSON(submitBody(sid, "s", "x")), http.StatusServiceUnavailable, "M_UNKNOWN")
	broken.err = nil
	wantPage(t, r.press(ask), http.StatusOK, "Confirmed") // nothing is lost
}

// TestPageOfALimit: guesses of one client are counted, and its page says how long.
func TestPageOfALimit(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		time.Second: "1 minute.", 61 * time.Second: "2 minutes.", 59 * time.Minute: "59 minutes.",
	} {
		r := newPageRig(t, options{})
		rec := httptest.NewRecorder()
		_, err := r.client.people.failedPage(&wire.Call{W: rec, R: httptest.NewRequest("GET", linkPath, http.NoBody)}, &verification.LimitError{RetryAfter: wait})
		wantPage(t, rec, http.StatusTooManyRequests, "Please try again later")
		if !strings.Contains(rec.Body.String(), "try again in "+want) || err == nil {
			t.Errorf("%v: got %v, %s", wait, err, rec.Body)
		}
	}
}

// TestUnavailable: the same while there is no store at all.
func TestUnavailable(t *testing.T) {
	cfg := Config{PublicURL: server, IdentityName: "localhost:8443"}
	if err := cfg.Normalize(); err != nil {
		t.Fatal(err)
	}
	u, err := NewUnavailable(cfg, PageOptions{Words: twoLanguages{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range ownPaths {
		if strings.Contains(path, "%zz") {
			continue // httptest takes no such request
		}
		rec, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, http.NoBody)
		r.Header.Set("Accept", "text/html")
		u.ServeHTTP(rec, r)
		wantPage(t, rec, http.StatusServiceUnavailable, "Please try again later")
		if rec.Header().Get("Retry-After") != "5" || !Ours(cfg, r.URL) {
			t.Errorf("%.60s: got %v, ours: %v", path, rec.Header(), Ours(cfg, r.URL))
		}
		rec, r = httptest.NewRecorder(), httptest.NewRequest("POST", path, http.NoBody)
		u.ServeHTTP(rec, r)
		wantError(t, rec, http.StatusServiceUnavailable, "M_UNKNOWN")
	}
}
