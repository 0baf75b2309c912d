// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const addPath = "/_matrix/client/v3/account/3pid/add"

// addBody is a request to add, with an auth dict if it is not empty.
func addBody(sid, secret, auth string) string {
	body := fmt.Sprintf(`{"sid":%q,"client_secret":%q`, sid, secret)
	if auth != "" {
		body += `,"auth":` + auth
	}
	return body + "}"
}

func passwordAuth(session, password string) string {
	return fmt.Sprintf(`{"type":"m.login.password","session":%q,"identifier":{"type":"m.id.user","user":"alice"},"password":%q}`, session, password)
}

// challenged sends the first round and returns the session.
func (r *rig) challenged(t *testing.T, token, sid, secret string) string {
	t.Helper()
	rec := r.as(token, "POST", addPath, addBody(sid, secret, ""))
	wantStatus(t, rec, http.StatusUnauthorized)
	wantCORS(t, rec)
	session, _ := decoded(t, rec)["session"].(string)
	if session == "" {
		t.Fatalf("no session in %s", rec.Body)
	}
	return session
}

func (r *rig) wantEmails(t *testing.T, user string, want ...string) {
	t.Helper()
	if got := r.hs.Emails(user); !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", user, got, want)
	}
}

// eachMode runs a test with checks off and with checks callback.
func eachMode(t *testing.T, run func(t *testing.T, r *rig, token string)) {
	for name, mode := range map[string]options{"off": {}, "callback": callback} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mode)
			r.hs.AddUser("alice", "secret", "alice@x.org")
			run(t, r, r.login("alice", "secret"))
		})
	}
}

func TestF30_AddWithThePassword(t *testing.T) {
	eachMode(t, func(t *testing.T, r *rig, token string) {
		sid := r.validated("account/3pid", "c", "new@x.org")
		first := r.as(token, "POST", addPath, addBody(sid, "c", ""))
		wantStatus(t, first, http.StatusUnauthorized)
		want := `{"completed":[],"flows":[{"stages":["m.login.password"]},{"stages":["m.login.email.identity"]}],"params":{},"session":`
		if !strings.HasPrefix(first.Body.String(), want) {
			t.Errorf("got %s, want %s...", first.Body, want)
		}
		session, _ := decoded(t, first)["session"].(string)
		wrong := r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(session, "wrong")))
		wantError(t, wrong, http.StatusUnauthorized, "M_FORBIDDEN")
		if decoded(t, wrong)["session"] == nil || decoded(t, wrong)["flows"] == nil {
			t.Errorf("got %s, want a challenge to try again", wrong.Body)
		}
		r.wantEmails(t, "alice", "alice@x.org")
		done := r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(session, "secret")))
		wantStatus(t, done, http.StatusOK)
		if got := strings.TrimSpace(done.Body.String()); got != "{}" {
			t.Errorf("got %s, want {}", got)
		}
		r.wantEmails(t, "alice", "alice@x.org", "new@x.org")
		again := r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(session, "secret")))
		wantError(t, again, http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
	})
}

func TestF30_AddLogsItsDeviceOut(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	r.hs.ResetRecordings()
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(r.challenged(t, token, sid, "c"), "secret"))), http.StatusOK)
	var made []string
	for _, req := range r.hs.Requests() {
		if strings.HasSuffix(req.Path, "/login") || strings.HasSuffix(req.Path, "/logout") {
			made = append(made, req.Path)
			if got := req.Header.Get("Authorization"); got == "Bearer "+token || (got == "") != strings.HasSuffix(req.Path, "/login") {
				t.Errorf("%s was called with Authorization %q", req.Path, got)
			}
		}
	}
	if want := []string{"/_matrix/client/r0/login", "/_matrix/client/r0/logout"}; !slices.Equal(made, want) {
		t.Errorf("got %q, want %q", made, want)
	}
	wantStatus(t, r.as(token, "GET", "/_matrix/client/r0/account/whoami", ""), http.StatusOK)
}

func TestF30_AddBeforeTheClick(t *testing.T) {
	eachMode(t, func(t *testing.T, r *rig, token string) {
		sid := r.request("account/3pid", "c", "new@x.org")
		for _, auth := range []string{"", "null", passwordAuth("", "secret")} {
			wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", auth)), http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
		}
		wantError(t, r.as(token, "POST", addPath, addBody(sid, "other", passwordAuth("", "secret"))), http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
		r.wantEmails(t, "alice", "alice@x.org")
	})
}

func TestF30_AddWithAnAddressOfTheAccount(t *testing.T) {
	eachMode(t, func(t *testing.T, r *rig, token string) {
		proof := r.request("account/password", "p", "alice@x.org")
		click := r.box.last(t).Token
		sid := r.validated("account/3pid", "c", "new@x.org")
		auth := fmt.Sprintf(`{"type":"m.login.email.identity","session":%q,"threepid_creds":{"sid":%q,"client_secret":"p"}}`, r.challenged(t, token, sid, "c"), proof)
		wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", auth)), http.StatusUnauthorized, "M_UNAUTHORIZED")
		wantStatus(t, r.confirm(proof, string(click)), http.StatusOK)
		wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", auth)), http.StatusOK)
		r.wantEmails(t, "alice", "alice@x.org", "new@x.org")
		wantStatus(t, r.reset(resetBody(proof, "p")), http.StatusUnauthorized) // it was used
	})
}

func TestF30_AddWithAProofThatIsNone(t *testing.T) {
	eachMode(t, func(t *testing.T, r *rig, token string) {
		r.hs.AddUser("bob", "secret", "bob@x.org")
		sid := r.validated("account/3pid", "c", "new@x.org")
		session := r.challenged(t, token, sid, "c")
		others := r.validated("account/password", "b", "bob@x.org")
		for name, auth := range map[string]string{
			"another user's address": fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"b"}}`, others),
			"another purpose":        fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"c"}}`, sid),
			"unknown session":        `{"type":"m.login.email.identity","threepid_creds":{"sid":"x","client_secret":"c"}}`,
			"another stage":          `{"type":"m.login.dummy"}`,
			"no stage":               `{}`,
			"a session alone":        fmt.Sprintf(`{"session":%q}`, session),
			"another user":           strings.Replace(passwordAuth(session, "secret"), `"user":"alice"`, `"user":"bob"`, 1),
			"another server":         strings.Replace(passwordAuth(session, "secret"), `"user":"alice"`, `"user":"@alice:other.org"`, 1),
		} {
			rec := r.as(token, "POST", addPath, addBody(sid, "c", auth))
			if rec.Code != http.StatusUnauthorized || decoded(t, rec)["flows"] == nil {
				t.Errorf("%s: got %d %s, want a challenge", name, rec.Code, rec.Body)
			}
		}
		r.wantEmails(t, "alice", "alice@x.org")
	})
}

// TestF30_WhoeverElseIsLoggedIn by the password has proven nothing: somebody in between
// may mix answers up.
func TestF30_WhoeverElseIsLoggedIn(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token, hs := r.login("alice", "secret"), r.next
	sid := r.validated("account/3pid", "c", "new@x.org")
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/login") {
			return hs(w, req)
		}
		return upstream(http.StatusOK, `{"user_id":"@bob:example.org","access_token":"t","device_id":"D"}`)(w, req)
	}
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusUnauthorized, "M_FORBIDDEN")
	r.wantEmails(t, "alice")
}

// TestF30_APhoneIsNoMail: a reset by phone may be confirmed as well, and proves nothing at
// the stage of mails.
func TestF30_APhoneIsNoMail(t *testing.T) {
	r, _ := phoneRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.hs.AddThreepid("alice", "msisdn", "447400123456")
	token := r.login("alice", "secret")
	proof, code := r.openPhone("account/password", "p")
	wantStatus(t, r.submitPhone(proof, "p", code), http.StatusOK)
	sid := r.validated("account/3pid", "c", "new@x.org")
	auth := fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"p"}}`, proof)
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", auth)), http.StatusUnauthorized, "M_UNAUTHORIZED")
	r.wantEmails(t, "alice", "alice@x.org")
}

func TestF30_AuthenticationBelongsToOneOperation(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	r.hs.AddUser("bob", "secret")
	token, bob := r.login("alice", "secret"), r.login("bob", "secret")
	one, two := r.validated("account/3pid", "c", "one@x.org"), r.validated("account/3pid", "d", "two@x.org")
	session := r.challenged(t, token, one, "c")
	wantStatus(t, r.as(token, "POST", addPath, addBody(two, "d", passwordAuth(session, "secret"))), http.StatusUnauthorized)
	wantStatus(t, r.as(bob, "POST", addPath, addBody(one, "c", strings.Replace(passwordAuth(session, "secret"), "alice", "bob", 1))), http.StatusUnauthorized)
	r.clock.Advance(61 * time.Minute)
	wantStatus(t, r.as(token, "POST", addPath, addBody(one, "c", passwordAuth(session, "secret"))), http.StatusUnauthorized)
	r.wantEmails(t, "alice")
	r.wantEmails(t, "bob")
}

// taken is a rig where Alice has confirmed an address that Bob has got since.
func taken(t *testing.T, r *rig) (sid string) {
	t.Helper()
	sid = r.validated("account/3pid", "c", "bob@x.org")
	r.hs.AddUser("bob", "secret", "bob@x.org")
	return sid
}

func TestF31_AnotherAccountsAddressIsRefused(t *testing.T) {
	eachMode(t, func(t *testing.T, r *rig, token string) {
		sid := taken(t, r)
		session := r.challenged(t, token, sid, "c")
		wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(session, "secret"))), http.StatusBadRequest, "M_THREEPID_IN_USE")
		creds := fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)
		wantError(t, r.add(token, "v3", creds), http.StatusBadRequest, "M_THREEPID_IN_USE")
		r.wantEmails(t, "alice", "alice@x.org")
		r.wantEmails(t, "bob", "bob@x.org")
		for _, call := range r.hs.IDServerCalls() {
			if strings.Contains(call.URL, "invalid") {
				t.Errorf("the homeserver called %s", call.URL)
			}
		}
	})
}

func TestF31_ACaseVariantIsTheSameAddress(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	r.hs.AddUser("bob", "secret", "bob@x.org")
	sid := r.validated("account/3pid", "c", "BOB@X.org")
	wantError(t, r.add(r.login("alice", "secret"), "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)),
		http.StatusBadRequest, "M_THREEPID_IN_USE")
	r.wantEmails(t, "bob", "bob@x.org")
}

func TestF31_OnesOwnAddressMayBeAddedAgain(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	sid := r.validated("account/3pid", "c", "alice@x.org")
	wantStatus(t, r.add(r.login("alice", "secret"), "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)), http.StatusOK)
	r.wantEmails(t, "alice", "alice@x.org")
}

func TestF31_AHomeserverThatDoesNotSayIsNotTrusted(t *testing.T) {
	for name, answer := range map[string]wire.Next{
		"broken":       upstream(500, `{"errcode":"M_UNKNOWN"}`),
		"sends itself": upstream(200, `{"sid":"1"}`),
		"has no such":  upstream(404, `{"errcode":"M_UNRECOGNIZED"}`),
		"HTML":         upstream(502, `<html>`),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{})
			r.hs.AddUser("alice", "secret")
			token := r.login("alice", "secret")
			sid := r.validated("account/3pid", "c", "new@x.org")
			legacy := r.next
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				if strings.HasSuffix(req.URL.Path, "requestToken") {
					return answer(w, req)
				}
				return legacy(w, req)
			}
			wantError(t, r.add(token, "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)), http.StatusBadGateway, "M_UNKNOWN")
			r.wantEmails(t, "alice")
			r.next = legacy // and the session is not lost
			wantStatus(t, r.add(token, "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)), http.StatusOK)
		})
	}
}

func TestF31_ADeniedAddressIsRefused(t *testing.T) {
	r := newRig(t, options{hs: func(o *fakehs.Options) { o.AllowedLocal3PIDs = []string{`.*@good\.org`} }})
	r.hs.AddUser("alice", "secret")
	sid := r.validated("account/3pid", "c", "a@bad.org")
	wantError(t, r.add(r.login("alice", "secret"), "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)),
		http.StatusForbidden, "M_THREEPID_DENIED")
}

func TestF32_AddIsLimitedPerUser(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 3, Per: time.Minute} }})
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	for range 3 {
		wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "guess"))), http.StatusUnauthorized, "M_FORBIDDEN")
	}
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
	r.challenged(t, token, sid, "c") // asking which stages there are costs nothing
	r.clock.Advance(21 * time.Second)
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusOK)
}

func TestF30_AHomeserverThatHasAddAsksItself(t *testing.T) {
	r := newRig(t, options{})
	sid := r.validated("account/3pid", "s", "a@x.org")
	var seen []string
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		answers := map[string]string{
			"GET /_matrix/client/r0/account/whoami": `{"user_id":"@alice:example.org"}`, "GET /_matrix/client/r0/account/3pid": `{"threepids":[]}`,
		}
		switch {
		case req.Header.Get("Authorization") == "":
			return errors.Join(err, upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req))
		case answers[req.Method+" "+req.URL.Path] != "":
			return upstream(200, answers[req.Method+" "+req.URL.Path])(w, req)
		case strings.HasSuffix(req.URL.Path, "/requestToken"):
			return upstream(403, `{"errcode":"M_FORBIDDEN"}`)(w, req) // our own answer, by way of its delegate
		}
		seen = append(seen, req.URL.Path+" "+string(raw))
		return errors.Join(err, upstream(401, `{"flows":[],"session":"theirs"}`)(w, req))
	}
	rec := r.as("t", "POST", addPath, `{"sid":"`+sid+`","client_secret":"s"}`)
	wantStatus(t, rec, http.StatusUnauthorized)
	told, _ := decoded(t, rec)["session"].(string)
	if opened, ok := r.svc.OpenConversation(threepid.SealedUIASession(told), "POST account/3pid/add"); !ok || opened.Session != "theirs" {
		t.Errorf("got %s, want the homeserver's own challenge", rec.Body)
	}
	if len(seen) != 1 || strings.Contains(seen[0], sid) || !strings.Contains(seen[0], `"client_secret"`) ||
		!strings.HasPrefix(seen[0], "/_matrix/client/r0/account/3pid/add ") {
		t.Errorf("the homeserver saw %q, want one request with an alias", seen)
	}
}

// TestF31_AHomeserverThatHasAddMovesAddressesToo: it looks at requestToken
// only, and an address may find an owner after that.
func TestF31_AHomeserverThatHasAddMovesAddressesToo(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := taken(t, r)
	legacy := r.next
	added := false
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/3pid/add") {
			return legacy(w, req)
		}
		if req.Header.Get("Authorization") == "" {
			return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
		}
		added = true
		return upstream(200, `{}`)(w, req)
	}
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", "")), http.StatusBadRequest, "M_THREEPID_IN_USE")
	if added {
		t.Error("the homeserver was asked to add it")
	}
}

// TestF31_OneReadingOfTheQuery: Python splits a query at semicolons, too, and
// would find another access token than we do, or one where we find none.
func TestF31_OneReadingOfTheQuery(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	r.hs.AddUser("mallory", "secret")
	stolen, own := r.login("alice", "secret"), r.login("mallory", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	r.hs.ResetRecordings()
	for _, query := range []string{
		"?x;access_token=" + own, "?x;access_token=" + stolen + "&access_token=" + own, "?access_token=" + own + ";y", "?%zz&access_token=" + own,
	} {
		for _, path := range []string{addPath, bindPath, unbindPath, deletePath, deactivatePath, "/_matrix/client/r0/account/3pid", "/_matrix/client/r0/account/password"} {
			wantError(t, r.do("POST", path+query, addBody(sid, "c", "")), http.StatusBadRequest, "M_INVALID_PARAM")
		}
	}
	if got := r.hs.Requests(); len(got) != 0 {
		t.Errorf("the homeserver saw %d requests, want none", len(got))
	}
	creds := fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, sid)
	wantError(t, r.do("POST", "/_matrix/client/r0/account/3pid", creds), http.StatusUnauthorized, "M_MISSING_TOKEN")
	wantStatus(t, r.do("POST", "/_matrix/client/r0/account/3pid?access_token="+own, creds), http.StatusOK)
}

// TestF30_AProofIsNotUsedUpByARefusal proves who one is by an address, for an
// address that cannot be had, and then for one that can.
func TestF30_AProofIsNotUsedUpByARefusal(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	proof := r.validated("account/password", "p", "alice@x.org")
	auth := fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"p"}}`, proof)
	lost := taken(t, r)
	wantError(t, r.as(token, "POST", addPath, addBody(lost, "c", auth)), http.StatusBadRequest, "M_THREEPID_IN_USE")
	sid := r.validated("account/3pid", "d", "new@x.org")
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "d", auth)), http.StatusOK)
	again := r.validated("account/3pid", "e", "newer@x.org")
	wantStatus(t, r.as(token, "POST", addPath, addBody(again, "e", auth)), http.StatusUnauthorized)
	r.wantEmails(t, "alice", "alice@x.org", "new@x.org")
}

// TestAMomentOfMaintenanceIsNotRemembered: what a homeserver can do is not
// learnt from a page of the proxy before it.
func TestAMomentOfMaintenanceIsNotRemembered(t *testing.T) {
	r := newRig(t, options{})
	req := mustRequest(t, "POST", addPath)
	for _, c := range []struct {
		next wire.Next
		want string
	}{
		{upstream(404, "<html>", "Content-Type", "text/html"), ""},
		{upstream(401, `{"errcode":"M_MISSING_TOKEN"}`), "r0"},
		{upstream(404, `{"errcode":"M_UNRECOGNIZED"}`), "r0"}, // remembered
	} {
		if got, err := r.client.hs.Has(&wire.Call{R: req, Next: c.next}, "account/3pid/add"); err != nil || got != c.want {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
}

func TestAddBadInput(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	for body, errcode := range map[string]string{
		`{`:                             "M_NOT_JSON",
		`{"sid":"a"}`:                   "M_MISSING_PARAM",
		`{"client_secret":"a"}`:         "M_MISSING_PARAM",
		`{"sid":5}`:                     "M_INVALID_PARAM",
		addBody(sid, "c", `5`):          "M_BAD_JSON",
		addBody(sid, "c", `{"type":5}`): "M_INVALID_PARAM",
		addBody(sid, "c", `{"type":"m.login.password"}`):                          "M_MISSING_PARAM",
		addBody(sid, "c", `{"type":"m.login.password","password":5}`):             "M_INVALID_PARAM",
		addBody(sid, "c", `{"type":"m.login.password","session":5}`):              "M_MISSING_PARAM",
		addBody(sid, "c", `{"type":"m.login.email.identity"}`):                    "M_MISSING_PARAM",
		addBody(sid, "c", `{"type":"m.login.email.identity","threepid_creds":5}`): "M_INVALID_PARAM",
	} {
		wantError(t, r.as(token, "POST", addPath, body), http.StatusBadRequest, errcode)
	}
	wantError(t, r.do("POST", addPath, addBody(sid, "c", "")), http.StatusUnauthorized, "M_MISSING_TOKEN")
	wantError(t, r.as("x", "POST", addPath, addBody(sid, "c", "")), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
	r.wantEmails(t, "alice")
}

func TestAddWhileTheHomeserverFails(t *testing.T) {
	for _, broken := range []string{"/add", "/whoami", "/login", "/3pid"} {
		t.Run(broken, func(t *testing.T) {
			r := newRig(t, options{})
			r.hs.AddUser("alice", "secret")
			token := r.login("alice", "secret")
			sid := r.validated("account/3pid", "c", "new@x.org")
			legacy := r.next
			r.next = func(w http.ResponseWriter, req *http.Request) error {
				if strings.HasSuffix(req.URL.Path, broken) {
					return &wire.UpstreamError{Status: 502, Err: wire.ErrNoAnswer}
				}
				return legacy(w, req)
			}
			wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusBadGateway, "M_UNKNOWN")
			r.wantEmails(t, "alice")
			r.next = legacy
			wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusOK)
		})
	}
}

func TestLogOutThatFailsIsReported(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/logout") {
			return upstream(500, `{}`)(w, req)
		}
		return legacy(w, req)
	}
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusOK)
	if !slices.ContainsFunc(r.events.list, func(e report.Event) bool { return e.Endpoint == "log_out" && e.Err != nil }) {
		t.Errorf("got events %+v, want the failed log-out among them", r.events.list)
	}
}

func TestChangesArePseudonymous(t *testing.T) {
	r, token := bound(t, "id.example.org")
	sid := r.validated("account/3pid", "c", "new@x.org")
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusOK)
	r.as(token, "POST", unbindPath, ofAlice(""))
	r.as(token, "POST", deletePath, ofAlice(""))
	r.as(token, "POST", deactivatePath, deactivation(""))
	var actions []string
	for _, c := range r.events.changes {
		if c.Action == actionNotified {
			continue // see notices_test.go
		}
		actions = append(actions, c.Action)
		if (c.Medium == threepid.Email) != (c.Action != "deactivated") {
			t.Errorf("got %+v, want the medium of the address", c)
		}
		if c.User == "" || strings.ContainsAny(c.User+c.Address, "@") || c.User != r.svc.Pseudonym(alice) {
			t.Errorf("got %+v, want pseudonyms", c)
		}
	}
	if want := []string{"bound", "added", "unbound", "deleted", "deactivated"}; !slices.Equal(actions, want) {
		t.Errorf("got %q, want %q", actions, want)
	}
}

func TestRegistrationIsAChange(t *testing.T) {
	r := newRig(t, options{})
	sid := r.validated("register", "c", "new@x.org")
	var rec *httptest.ResponseRecorder
	body := fmt.Sprintf(`{"username":"carol","password":"secret","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"c"}}}`, sid)
	rec = r.do("POST", "/_matrix/client/v3/register", body)
	if n := len(r.events.changes); n != 1 || r.events.changes[0].Action != "registered" || r.events.changes[0].Address != r.svc.Pseudonym("new@x.org") {
		t.Errorf("got changes %+v after %d %s, want one registration", r.events.changes, rec.Code, rec.Body)
	}
}
