// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// These tests replay what other implementations were attacked with. Numbers are
// the rows of our list of advisories; docs/security.md names all of them.

// Sydent 1.0.3: an unknown session and a wrong secret must look the same, and
// nothing of a fault be shown.
func TestAdvisory02_UnknownAndWrongLookTheSame(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.Proof = verification.ProofCode }})
	sid := r.request("account/3pid", "secret", "a@x.org")
	submit := func(sid, secret string) string {
		rec := r.do("POST", linkPath, fmt.Sprintf(`{"sid":%q,"client_secret":%q,"token":"123456"}`, sid, secret), "Content-Type", "application/json")
		return fmt.Sprint(rec.Code, rec.Body, rec.Header())
	}
	unknown := sid[:len(sid)-1] + string('A'+(sid[len(sid)-1]+1)%26)
	if got, want := submit(sid, "wrong"), submit(unknown, "secret"); got != want {
		t.Errorf("a wrong secret: %s, an unknown session: %s", got, want)
	}
}

// Sydent CVE-2021-29430, Synapse CVE-2021-21393: bodies without a limit.
func TestAdvisory03_BodiesAreBounded(t *testing.T) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = zw.Write(bytes.Repeat([]byte(" "), 10<<20))
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	huge := `{"client_secret":"` + strings.Repeat("a", 10<<20) + `"}`
	for _, path := range []string{
		"/_matrix/client/r0/register/email/requestToken", "/_matrix/client/r0/register", "/_matrix/client/r0/account/password",
		"/_matrix/client/r0/account/3pid", addPath, bindPath, unbindPath, deletePath, deactivatePath, linkPath,
	} {
		r := newRig(t, options{})
		chunked := httptest.NewRequest("POST", path, struct{ *strings.Reader }{strings.NewReader(huge)})
		chunked.ContentLength = -1
		if rec := r.send(chunked); rec.Code != http.StatusRequestEntityTooLarge {
			// A token is asked for before a body is read, where one is needed.
			t.Errorf("%s: got %d for 10 MB in chunks, want 413", path, rec.Code)
		}
		if rec := r.do("POST", path, huge); rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d for 10 MB, want 413", path, rec.Code)
		}
		// What is packed is not unpacked, so it is no bomb.
		if rec := r.do("POST", path, packed.String(), "Content-Encoding", "gzip"); rec.Code/100 == 2 || rec.Code >= 500 {
			t.Errorf("%s: got %d for a gzip bomb", path, rec.Code)
		}
	}
}

// Synapse 1.15.2: a confirm button in a frame.
func TestAdvisory10_NoPageCanBeFramed(t *testing.T) {
	r := newRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	good := url.Values{"sid": {sid}, "token": {string(r.box.last(t).Token)}}.Encode()
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"confirm": r.do("GET", linkPath+"?"+good, ""), "invalid": r.do("GET", linkPath+"?sid=x&token=y", ""), "empty": r.do("GET", linkPath, ""),
		"method": r.do("PUT", linkPath, ""), "help": r.do("GET", linkPath+"?help=1", ""), "refuse": r.do("GET", route.RefusePath, ""),
		"broken form": r.do("POST", linkPath, "%zz", "Content-Type", "application/x-www-form-urlencoded"),
	} {
		if !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
			continue // JSON cannot be clicked
		}
		if got := rec.Header().Get("X-Frame-Options"); got != "DENY" {
			t.Errorf("%s: got X-Frame-Options %q, want DENY", name, got)
		}
		if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: got Content-Security-Policy %q", name, csp)
		}
	}
}

// Synapse PR 8275: an open redirect, forgotten at one endpoint.
func TestAdvisory17_NextLinkIsNotFollowedUnlessListed(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.NextLinkOrigins = []string{"https://good.example.org"} }})
	for _, version := range []string{"r0", "v3", "unstable"} {
		for _, purpose := range []string{"register", "account/password", "account/3pid"} {
			for i, link := range []string{
				"//evil.example", "https:evil.example", "https://good.example.org@evil.example", `\\evil.example`, "javascript:alert(1)",
				"file:///etc/passwd", "https://good.example.org\r\nX: y", "https://good.example.org.evil.example", "https://evil.example/https://good.example.org",
				"http://good.example.org", "https://good.example.org:8443/", "data:text/html,x",
			} {
				secret := fmt.Sprintf("%s-%s-%d", version, strings.ReplaceAll(purpose, "/", "."), i)
				body := fmt.Sprintf(`{"client_secret":%q,"email":"a@x.org","send_attempt":1,"next_link":%q}`, secret, link)
				rec := r.do("POST", "/_matrix/client/"+version+"/"+purpose+"/email/requestToken", body)
				wantStatus(t, rec, http.StatusOK)
				sid, _ := decoded(t, rec)["sid"].(string)
				wantNotFollowed(t, r, sid, link)
			}
		}
	}
}

// ma1sd: a rule that knew /r0/ alone.
func TestAdvisory18_EverySpellingOfAPathIsOneOrNone(t *testing.T) {
	const tail = "/register/email/requestToken"
	body := `{"client_secret":"s","email":"a@x.org","send_attempt":1}`
	for _, version := range []string{"r0", "v1", "v3", "unstable", "v99", "v2_alpha"} {
		r := newRig(t, options{})
		wantStatus(t, r.do("POST", "/_matrix/client/"+version+tail, body), http.StatusOK)
		for _, path := range []string{
			"/_matrix/client/" + version + "//register/email/requestToken", "/_matrix/client/" + version + "/register/email%2frequestToken",
			"/_matrix/client/" + version + "/register;x/email/requestToken", "/_matrix/client/" + version + "/Register/email/requestToken",
			"/_matrix/client/" + version + tail + "/", "/_matrix/client/" + version + "/x/.." + tail,
		} {
			wantError(t, r.do("POST", path, body), http.StatusNotFound, "M_UNRECOGNIZED")
		}
		if got := r.hs.Requests(); len(got) != 0 {
			t.Errorf("%s: the homeserver saw %s", version, got[0].Path)
		}
	}
}

// ma1sd: six digits, and as many tries as one likes. At most five of a million
// can be tried in one session.
func TestAdvisory19_GuessingEndsTheSession(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.Proof = verification.ProofCode }})
	sid := r.request("account/3pid", "s", "a@x.org")
	right := r.box.last(t).Token
	try := func(code string) int {
		return r.do("POST", linkPath, fmt.Sprintf(`{"sid":%q,"client_secret":"s","token":%q}`, sid, code), "Content-Type", "application/json").Code
	}
	for n := range verification.DefaultMaxTries {
		code := fmt.Sprintf("%06d", n)
		if threepid.Token(code) == right {
			code = "999999"
		}
		if got := try(code); got != http.StatusBadRequest {
			t.Fatalf("guess %d: got %d, want 400", n, got)
		}
	}
	if got := try(string(right)); got == http.StatusOK {
		t.Error("the right code was accepted after five wrong ones")
	}
}

// Sydent: every requestToken made a confirmed session younger.
func TestAdvisory20_AProofGrowsOld(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.PerAddress = ratelimit.Limit{} }})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	for hour := range 48 {
		r.clock.Advance(time.Hour)
		r.do("POST", "/_matrix/client/r0/account/password/email/requestToken",
			fmt.Sprintf(`{"client_secret":"s","email":"alice@x.org","send_attempt":%d}`, hour+2))
	}
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)
	if !r.hs.CheckPassword("alice", "old") {
		t.Error("the password was reset with a proof of two days")
	}
}

// Synapse: a proof for one purpose was good for all.
func TestAdvisory21_AProofIsForOnePurpose(t *testing.T) {
	for _, made := range []string{"register", "account/password", "account/3pid"} {
		for _, used := range []string{"register", "account/password", "account/3pid"} {
			r := newRig(t, options{})
			r.hs.AddUser("alice", "old", "alice@x.org")
			email := map[string]string{"register": "new@x.org", "account/3pid": "new@x.org", "account/password": "alice@x.org"}[made]
			sid := r.validated(made, "s", email)
			var rec *httptest.ResponseRecorder
			switch used {
			case "register":
				rec = r.do("POST", "/_matrix/client/r0/register", fmt.Sprintf(
					`{"username":"bob","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"s"}}}`, sid))
			case "account/password":
				rec = r.reset(resetBody(sid, "s"))
			default:
				rec = r.add(r.login("alice", "old"), "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"s"}}`, sid))
			}
			if got, want := rec.Code == http.StatusOK, made == used; got != want {
				t.Errorf("made for %s, used at %s: got %d %s, want success %v", made, used, rec.Code, rec.Body, want)
			}
		}
	}
}

// Mattermost CVE-2026-3590: a link that was used twice at the same moment.
func TestAdvisory23_OneOfTwoHundredWins(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	var wg sync.WaitGroup
	won := make(chan int, 200)
	for range 200 {
		wg.Go(func() {
			rec := httptest.NewRecorder()
			req := httptest.NewRequest("POST", "/_matrix/client/r0/account/password", strings.NewReader(resetBody(sid, "s")))
			if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
				t.Error(err)
			}
			if rec.Code == http.StatusOK {
				won <- 1
			}
		})
	}
	wg.Wait()
	if got := len(won); got != 1 {
		t.Errorf("%d requests completed one session, want 1", got)
	}
}
