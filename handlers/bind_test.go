// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const bindPath = "/_matrix/client/v3/account/3pid/bind"

// bindBody is vector V7, with the server and the session to be chosen.
func bindBody(server, sid, secret string) string {
	return fmt.Sprintf(`{"id_server":%q,"id_access_token":"abc123_OpaqueString","sid":%q,"client_secret":%q}`, server, sid, secret)
}

func (r *rig) as(token, method, target, body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do(method, target, body, "Authorization", "Bearer "+token)
}

// aliceAt is a rig with a user and an identity server where she has a session.
func aliceAt(t *testing.T, server string) (*rig, string) {
	t.Helper()
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.ids.Start(server, "abc123987", "d0nt-T3ll", "email", "alice@lookup.org")
	return r, r.login("alice", "secret")
}

func TestR40_R42_R43_F26_F29_BothPathsTakeBothBodies(t *testing.T) {
	flat := bindBody("id.example.org", "abc123987", "d0nt-T3ll")
	for _, path := range []string{
		"/_matrix/client/r0/account/3pid/bind", "/_matrix/client/unstable/account/3pid/bind", bindPath, "/chat/client/r0/account/3pid/bind",
		"/_matrix/client/v1/account/3pid/identity/bind", "/_matrix/client/r0/account/3pid/identity/bind",
	} {
		for name, body := range map[string]string{
			"flat": flat, "nested": `{"three_pid_creds":` + flat + `}`, "old spelling": `{"threePidCreds":` + flat + `,"bind":true}`,
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				r, token := aliceAt(t, "id.example.org")
				rec := r.as(token, "POST", path, body)
				wantStatus(t, rec, http.StatusOK)
				wantCORS(t, rec)
				if got := strings.TrimSpace(rec.Body.String()); got != "{}" {
					t.Errorf("got body %s, want {}", got)
				}
				if got, want := r.ids.Owner("id.example.org", "email", "alice@lookup.org"), "@alice:example.org"; got != want {
					t.Errorf("the address is bound to %q, want %q", got, want)
				}
				if want := []string{"bind id.example.org"}; !slices.Equal(r.ids.Made(), want) || r.ids.Tokens[0] != "abc123_OpaqueString" {
					t.Errorf("got calls %q with %q, want %q with the id_access_token", r.ids.Made(), r.ids.Tokens, want)
				}
			})
		}
	}
}

func TestR41_BindNeedsAnAccessToken(t *testing.T) {
	r, _ := aliceAt(t, "id.example.org")
	body := bindBody("id.example.org", "abc123987", "d0nt-T3ll")
	wantError(t, r.do("POST", bindPath, body), http.StatusUnauthorized, "M_MISSING_TOKEN")
	wantError(t, r.do("POST", bindPath, body, "Authorization", "Basic eDp5"), http.StatusUnauthorized, "M_MISSING_TOKEN")
	wantError(t, r.do("POST", bindPath+"?access_token=a", body, "Authorization", "Bearer b"), http.StatusUnauthorized, "M_MISSING_TOKEN")
	wantError(t, r.as("nobody's", "POST", bindPath, body), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
	if got := r.ids.Made(); len(got) != 0 {
		t.Errorf("got calls %q, want none", got)
	}
}

func TestBindTakesATokenFromTheQuery(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	wantStatus(t, r.do("POST", bindPath+"?access_token="+token, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusOK)
	for _, req := range r.hs.Requests() {
		if strings.Contains(req.Path, "whoami") && strings.Contains(req.Query, token) {
			t.Error("the token was put into a query, where logs find it")
		}
	}
}

func TestR44_R48_BindLeavesTheAccountAlone(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusOK)
	if got, want := r.hs.Emails("alice"), []string{"alice@x.org"}; !slices.Equal(got, want) {
		t.Errorf("the account has %q, want %q", got, want)
	}
}

func TestR45_BindIsRecorded(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	wantError(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "wrong", "d0nt-T3ll")), http.StatusNotFound, "M_NO_VALID_SESSION")
	list, err := r.svc.Bindings(t.Context(), "@alice:example.org")
	if err != nil || len(list) != 0 {
		t.Fatalf("got %v, %v after a failure, want no record", list, err)
	}
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusOK)
	list, err = r.svc.Bindings(t.Context(), "@alice:example.org")
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v, want one record", list, err)
	}
	want := verification.Binding{
		User: "@alice:example.org", Medium: "email", Address: "alice@lookup.org", IDServer: "id.example.org",
		SID: "abc123987", ClientSecret: "d0nt-T3ll", Bound: list[0].Bound,
	}
	if list[0] != want || !list[0].Bound.Equal(r.clock.Now()) {
		t.Errorf("got %+v, want %+v", list[0], want)
	}
	if n := len(r.events.changes); n != 2 || r.events.changes[0].Err == nil || r.events.changes[1].Err != nil {
		t.Errorf("got changes %+v, want a failure and a success", r.events.changes)
	}
}

func TestR46_F28_TheIdentityServersErrorIsRelayed(t *testing.T) {
	for _, want := range []*identityserver.Refusal{
		idservers.Refused(http.StatusForbidden, "M_TERMS_NOT_SIGNED"), idservers.Refused(http.StatusUnauthorized, "M_UNAUTHORIZED"),
		idservers.Refused(http.StatusBadRequest, "M_SESSION_NOT_VALIDATED"), idservers.Refused(http.StatusTooManyRequests, "M_LIMIT_EXCEEDED"),
		idservers.Refused(http.StatusInternalServerError, "M_UNKNOWN"),
	} {
		r, token := aliceAt(t, "id.example.org")
		r.ids.Refusal = want
		rec := r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll"))
		wantError(t, rec, want.Status, want.Errcode)
		if got := rec.Body.String(); !sameJSON(t, got, string(want.Body)) {
			t.Errorf("got %s, want %s", got, want.Body)
		}
	}
}

// TestF28_AnIdentityServerCannotLogAnybodyOut: clients forget their access
// token when they see what a homeserver says of an unknown one, and begin to
// authenticate when they see flows.
func TestF28_AnIdentityServerCannotLogAnybodyOut(t *testing.T) {
	for _, errcode := range []string{"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED", "M_TERMS_NOT_SIGNED"} {
		r, token := aliceAt(t, "id.example.org")
		r.ids.Refusal = &identityserver.Refusal{
			Status: http.StatusUnauthorized, Errcode: errcode, Message: "no",
			Body: []byte(`{"errcode":"` + errcode + `","error":"no","soft_logout":true,"session":"s","flows":[{"stages":[]}],"params":{},"completed":[],"kept":1}`),
		}
		rec := r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll"))
		want := errcode
		if errcode != "M_TERMS_NOT_SIGNED" {
			want = "M_UNAUTHORIZED"
		}
		wantError(t, rec, http.StatusUnauthorized, want)
		for _, key := range []string{"soft_logout", "session", "flows", "params", "completed"} {
			if _, there := decoded(t, rec)[key]; there {
				t.Errorf("%s was relayed: %s", key, rec.Body)
			}
		}
		if decoded(t, rec)["kept"] == nil {
			t.Errorf("got %s, want the rest as it was", rec.Body)
		}
	}
}

func TestR47_R61_BoundAddressesDoNotResetPasswords(t *testing.T) {
	r := newRig(t, revealing)
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.ids.Start("id.example.org", "1", "s", "email", "alice@lookup.org")
	token := r.login("alice", "secret")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "1", "s")), http.StatusOK)
	ask := func(address string) *httptest.ResponseRecorder {
		return r.do("POST", "/_matrix/client/r0/account/password/email/requestToken",
			`{"client_secret":"c","email":"`+address+`","send_attempt":1}`)
	}
	wantError(t, ask("alice@lookup.org"), http.StatusBadRequest, "M_THREEPID_NOT_FOUND")
	wantError(t, ask("nobody@lookup.org"), http.StatusBadRequest, "M_THREEPID_NOT_FOUND")
	sid := r.validated("account/password", "c", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "c")), http.StatusOK)
}

func TestR49_R59_R62_AnyServerAndItsOwnSession(t *testing.T) {
	r, token := aliceAt(t, "one.example.org")
	own := r.validated("account/3pid", "mine", "alice@lookup.org")
	for _, server := range []string{"two.example.com:8090", "three.example.net"} {
		r.ids.Start(server, "7", "s", "email", "alice@lookup.org")
		wantStatus(t, r.as(token, "POST", bindPath, bindBody(server, "7", "s")), http.StatusOK)
		// A session of ours is nothing to an identity server.
		wantError(t, r.as(token, "POST", bindPath, bindBody(server, own, "mine")), http.StatusNotFound, "M_NO_VALID_SESSION")
	}
	for _, call := range r.ids.Made() {
		if !strings.HasPrefix(call, "bind ") {
			t.Errorf("an identity server was asked for something else: %s", call)
		}
	}
}

func TestF27_BoundByAnotherUserIsNotOurBusiness(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	r.hs.AddUser("bob", "secret", "alice@lookup.org")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusOK)
	bob := r.login("bob", "secret")
	wantStatus(t, r.as(bob, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusOK)
	if got, want := r.ids.Owner("id.example.org", "email", "alice@lookup.org"), "@bob:example.org"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestF32_BindIsLimitedPerUser(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 3, Per: time.Minute} }})
	r.hs.AddUser("alice", "secret")
	r.hs.AddUser("bob", "secret")
	r.ids.Start("id.example.org", "1", "s", "email", "a@b.org")
	alice, bob := r.login("alice", "secret"), r.login("bob", "secret")
	body := bindBody("id.example.org", "1", "s")
	for range 3 {
		wantStatus(t, r.as(alice, "POST", bindPath, body), http.StatusOK)
	}
	rec := r.as(alice, "POST", bindPath, body)
	wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
	if rec.Header().Get("Retry-After") == "" || decoded(t, rec)["retry_after_ms"] == nil {
		t.Errorf("got %v %s, want both ways to say when", rec.Header(), rec.Body)
	}
	wantStatus(t, r.as(bob, "POST", bindPath, body), http.StatusOK)
	r.clock.Advance(21 * time.Second)
	wantStatus(t, r.as(alice, "POST", bindPath, body), http.StatusOK)
}

func TestBindKeepsABoundedNumber(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	for i := range verification.MaxBindings {
		b := verification.Binding{User: "@alice:example.org", Medium: "email", Address: fmt.Sprintf("a%d@x.org", i), IDServer: "x"}
		if err := r.svc.Bind(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusForbidden, "M_FORBIDDEN")
	if got := r.ids.Made(); len(got) != 0 {
		t.Errorf("got calls %q, want none", got)
	}
}

func TestBindBadInput(t *testing.T) {
	good := bindBody("id.example.org", "abc123987", "d0nt-T3ll")
	for name, c := range map[string]struct {
		body, errcode string
	}{
		"not JSON":            {"{", "M_NOT_JSON"},
		"empty":               {"", "M_NOT_JSON"},
		"no object":           {"[]", "M_BAD_JSON"},
		"duplicate":           {`{"sid":"a","sid":"b"}`, "M_BAD_JSON"},
		"nested duplicate":    {`{"three_pid_creds":{"sid":"a","sid":"b"}}`, "M_BAD_JSON"},
		"no sid":              {strings.Replace(good, "sid", "x", 1), "M_MISSING_PARAM"},
		"no secret":           {strings.Replace(good, "client_secret", "x", 1), "M_MISSING_PARAM"},
		"no server":           {strings.Replace(good, "id_server", "x", 1), "M_MISSING_PARAM"},
		"no token":            {strings.Replace(good, "id_access_token", "x", 1), "M_MISSING_PARAM"},
		"null":                {strings.Replace(good, `"abc123987"`, "null", 1), "M_MISSING_PARAM"},
		"number":              {strings.Replace(good, `"abc123987"`, "5", 1), "M_INVALID_PARAM"},
		"empty sid":           {bindBody("id.example.org", "", "s"), "M_INVALID_PARAM"},
		"long sid":            {bindBody("id.example.org", strings.Repeat("s", 256), "s"), "M_INVALID_PARAM"},
		"apostrophe":          {bindBody("id.example.org", "1", "don'tT3ll"), "M_INVALID_PARAM"},
		"nested is no object": {`{"three_pid_creds":5}`, "M_INVALID_PARAM"},
		"two opinions":        {`{"three_pid_creds":` + good + `,"sid":"other"}`, "M_INVALID_PARAM"},
		"URL":                 {bindBody("https://id.example.org", "1", "s"), "M_INVALID_PARAM"},
		"path":                {bindBody("id.example.org/x", "1", "s"), "M_INVALID_PARAM"},
		"user":                {bindBody("u@id.example.org", "1", "s"), "M_INVALID_PARAM"},
		"port trick":          {bindBody("id.example.org:443:8448", "1", "s"), "M_INVALID_PARAM"},
		"port zero":           {bindBody("id.example.org:0", "1", "s"), "M_INVALID_PARAM"},
		"query":               {bindBody("id.example.org?x", "1", "s"), "M_INVALID_PARAM"},
		"space":               {bindBody("id.example.org ", "1", "s"), "M_INVALID_PARAM"},
		"line":                {bindBody("id.example.org\r\nHost: x", "1", "s"), "M_INVALID_PARAM"},
		"decimal address":     {bindBody("2130706433", "1", "s"), "M_INVALID_PARAM"},
		"octal address":       {bindBody("0177.0.0.1", "1", "s"), "M_INVALID_PARAM"},
		"no name":             {bindBody("", "1", "s"), "M_INVALID_PARAM"},
	} {
		t.Run(name, func(t *testing.T) {
			r, token := aliceAt(t, "id.example.org")
			wantError(t, r.as(token, "POST", bindPath, c.body), http.StatusBadRequest, c.errcode)
			if got := r.ids.Made(); len(got) != 0 {
				t.Errorf("got calls %q, want none", got)
			}
		})
	}
}

func TestBindServerThatCannotBeUsed(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	r.ids.Private["inside.example.org"] = true
	wantError(t, r.as(token, "POST", bindPath, bindBody("inside.example.org", "1", "s")), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
	wantError(t, r.as(token, "POST", bindPath, bindBody("dead.example.org", "1", "s")), http.StatusBadGateway, "M_UNKNOWN")
	r.ids.Refusal = nil
	if list, err := r.svc.Bindings(t.Context(), "@alice:example.org"); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want nothing recorded", list, err)
	}
	wantError(t, r.do("PUT", bindPath, "{}"), http.StatusMethodNotAllowed, "M_UNRECOGNIZED")
}

func TestBindWithoutAHomeserver(t *testing.T) {
	for name, next := range map[string]wire.Next{
		"down": func(http.ResponseWriter, *http.Request) error {
			return &wire.UpstreamError{Status: 502, Err: wire.ErrNoAnswer}
		},
		"HTML":    upstream(200, "<html>", "Content-Type", "text/html"),
		"nobody":  upstream(200, `{}`),
		"no user": upstream(200, `{"user_id":"alice"}`),
		"number":  upstream(200, `{"user_id":5}`),
	} {
		t.Run(name, func(t *testing.T) {
			r, token := aliceAt(t, "id.example.org")
			r.next = next
			wantError(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "abc123987", "d0nt-T3ll")), http.StatusBadGateway, "M_UNKNOWN")
			if got := r.ids.Made(); len(got) != 0 {
				t.Errorf("got calls %q, want none", got)
			}
		})
	}
}

func TestR21_NothingIsBoundWhenSwitchedOff(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.NoEmail = true }, hs: func(*fakehs.Options) {}})
	rec := r.do("POST", bindPath, bindBody("id.example.org", "1", "s"))
	wantError(t, rec, http.StatusBadRequest, "M_UNRECOGNIZED") // the homeserver's own
	if got := r.hs.Requests()[0].Path; got != "/_matrix/client/r0/account/3pid/bind" {
		t.Errorf("the homeserver saw %s", got)
	}
}

// TestR58_BindTakesPhoneNumbers: the medium is the identity server's to say.
func TestR58_BindTakesPhoneNumbers(t *testing.T) {
	r, token := aliceAt(t, "id.example.org")
	r.ids.Start("id.example.org", "2", "s", "msisdn", "447700900000")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "2", "s")), http.StatusOK)
	rec := r.as(token, "POST", unbindPath, `{"medium":"msisdn","address":"+447700900000"}`)
	if wantStatus(t, rec, http.StatusOK); decoded(t, rec)["id_server_unbind_result"] != "success" {
		t.Errorf("got %s, want success", rec.Body)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
