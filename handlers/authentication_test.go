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

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// proving is one round of an authentication of Alice's, at a homeserver.
func (r *rig) proving(auth string, next wire.Next) (*authentication, error) {
	a := &authentication{client: r.client, who: &hsapi.Account{User: alice, Token: "t"}, operation: "op"}
	if auth != "" {
		a.auth = mustObject(r.t, []byte(auth))
	}
	return a, a.check(&wire.Call{R: httptest.NewRequest("POST", addPath, http.NoBody), Next: next})
}

// wantChallenge checks that an error is another round, of these stages, by one code.
func wantChallenge(t *testing.T, what string, err error, errcode string, stages ...string) {
	t.Helper()
	ch, ok := errors.AsType[*challenge](err)
	if !ok {
		t.Errorf("%s: got %v, want another round", what, err)
		return
	}
	var offered []string
	for _, f := range ch.Flows {
		offered = append(offered, strings.Join(f.Stages, " "))
	}
	if ch.Errcode != errcode || (ch.Message == "") != (errcode == "") || ch.Session == "" || ch.Completed == nil || !slices.Equal(offered, stages) {
		t.Errorf("%s: got %+v, want %s and the stages %q", what, ch, errcode, stages)
	}
}

// TestUIA_WhatIsARound: what is missing is asked for, and what is no request is refused.
func TestUIA_WhatIsARound(t *testing.T) {
	r := newRig(t, options{})
	good, other := r.svc.UIASession(alice, "op"), r.svc.UIASession(alice, "another")
	for auth, want := range map[string]string{
		``:                          "round ",
		`{}`:                        "round M_UNAUTHORIZED",
		`{"type":"m.login.dummy"}`:  "round M_UNAUTHORIZED",
		`{"type":"m.login.msisdn"}`: "round M_UNAUTHORIZED",
		`{"type":"m.login.password","password":"p","session":"x"}`:                     "round M_UNAUTHORIZED",
		string(`{"type":"m.login.password","password":"p","session":"` + other + `"}`): "round M_UNAUTHORIZED",
		`{"type":"m.login.password","password":"p","session":5}`:                       wire.CodeInvalidParam,
		`{"type":5}`:                                                                  wire.CodeInvalidParam,
		`{"type":"m.login.password"}`:                                                 wire.CodeMissingParam,
		`{"type":"m.login.password","password":5}`:                                    wire.CodeInvalidParam,
		`{"type":"m.login.password","password":"p","user":"bob"}`:                     "round M_FORBIDDEN",
		`{"type":"m.login.password","password":"p","session":""}`:                     "",
		string(`{"type":"m.login.password","password":"p","session":"` + good + `"}`): "",
		`{"type":"m.login.email.identity"}`:                                           wire.CodeMissingParam,
		`{"type":"m.login.email.identity","threepid_creds":{"sid":""}}`:               wire.CodeMissingParam,
		`{"type":"m.login.email.identity","threepid_creds":5}`:                        wire.CodeInvalidParam,
		`{"type":"m.login.email.identity","threepid_creds":{"sid":"x"}}`:              "round M_UNAUTHORIZED",
		`{"type":"m.login.email.identity","threepid_creds":{},"session":"other"}`:     "round M_UNAUTHORIZED",
	} {
		_, err := r.proving(auth, upstream(200, `{"user_id":"`+alice+`","access_token":"a"}`))
		if code, isRound := strings.CutPrefix(want, "round "); isRound {
			wantChallenge(t, auth, err, code, wire.StagePassword, wire.StageEmail)
			if got := wire.ErrorOf(err).Status; got != http.StatusUnauthorized {
				t.Errorf("%s: counts as %d", auth, got)
			}
			continue
		}
		if got := codeOf(err); got != want || (err == nil) != (want == "") {
			t.Errorf("%s: got %v, want %q", auth, err, want)
		}
	}
	native := newRig(t, options{config: func(c *Config) { c.NativeReset = true }})
	for auth, code := range map[string]string{``: "", `{"type":"m.login.email.identity","threepid_creds":{"sid":"x"}}`: wire.CodeUnauthorized} {
		_, err := native.proving(auth, native.next)
		wantChallenge(t, auth, err, code, wire.StagePassword)
	}
}

// TestUIA_WhatTheHomeserverSaysOfThePassword: only a log-in of the same user is a yes, and
// only what says so is a no.
func TestUIA_WhatTheHomeserverSaysOfThePassword(t *testing.T) {
	const auth = `{"type":"m.login.password","password":"p<&>"}`
	for _, c := range []struct {
		login  wire.Next
		round  string // the code of another round
		status int    // of a failure
	}{
		{upstream(200, `{"user_id":"`+alice+`","access_token":"a"}`), "", 0},
		{upstream(200, `{"user_id":"@bob:example.org","access_token":"a"}`), wire.CodeForbidden, 0},
		{upstream(200, `{"access_token":"a"}`), wire.CodeForbidden, 0},
		{upstream(200, `{"user_id":"`+alice+`"}`), "", 502},
		{upstream(200, `<html>`), "", 502},
		{upstream(403, `{"errcode":"M_FORBIDDEN"}`), wire.CodeForbidden, 0},
		{upstream(401, `{"errcode":"M_UNKNOWN"}`), wire.CodeForbidden, 0},
		{upstream(499, `{}`), wire.CodeForbidden, 0},
		{upstream(429, `{"errcode":"M_LIMIT_EXCEEDED"}`), "", 429},
		{upstream(500, `{"errcode":"M_UNKNOWN"}`), "", 500},
		{func(http.ResponseWriter, *http.Request) error { return wire.ErrNoAnswer }, "", 502},
	} {
		r := newRig(t, options{})
		var asked []string
		_, err := r.proving(auth, func(w http.ResponseWriter, req *http.Request) error {
			raw, _ := wire.ReadBody(w, req, 1<<20)
			asked = append(asked, strings.TrimPrefix(req.URL.Path, "/_matrix/client/r0/")+" "+req.Header.Get("Authorization")+" "+string(raw))
			if strings.HasSuffix(req.URL.Path, "/login") {
				return c.login(w, req)
			}
			return upstream(200, `{}`)(w, req)
		})
		_, status, _ := report.OutcomeOf(err)
		switch {
		case c.round != "":
			wantChallenge(t, fmt.Sprint(asked), err, c.round, wire.StagePassword, wire.StageEmail)
		case c.status != 0 && status != c.status, c.status == 0 && err != nil:
			t.Errorf("%q: got %v, want %d", asked, err, c.status)
		}
		const login = `login  {"identifier":{"type":"m.id.user","user":"` + alice + `"},"initial_device_display_name":"Confirmation of a password","password":"p<&>","type":"m.login.password","user":"` + alice + `"}`
		if asked[0] != login || len(asked) > 1 && asked[1] != "logout Bearer a {}" {
			t.Errorf("the homeserver was asked %q", asked)
		}
	}
}

// TestUIA_LogOutsThatFail leave an empty device behind, and are reported as what they are.
func TestUIA_LogOutsThatFail(t *testing.T) {
	for name, logout := range map[string]wire.Next{"refused": upstream(401, `{}`), "no answer": func(http.ResponseWriter, *http.Request) error { return wire.ErrNoAnswer }, "done": upstream(200, `{}`)} {
		r := newRig(t, options{})
		_, err := r.proving(`{"type":"m.login.password","password":"p"}`, func(w http.ResponseWriter, req *http.Request) error {
			if strings.HasSuffix(req.URL.Path, "/logout") {
				return logout(w, req)
			}
			return upstream(200, `{"user_id":"`+alice+`","access_token":"a"}`)(w, req)
		})
		if err != nil {
			t.Errorf("%s: got %v: the password was right", name, err)
		}
		want := 1
		if name == "done" {
			want = 0
		}
		if len(r.events.list) != want {
			t.Fatalf("%s: reported was %+v", name, r.events.list)
		}
		if want == 0 {
			continue
		}
		if e := r.events.list[0]; e.Face != "client" || e.Endpoint != "log_out" || e.Outcome != "unknown" || e.Status != 502 || errors.Is(e.Err, wire.ErrNoAnswer) != (name == "no answer") || e.Err == nil {
			t.Errorf("%s: reported was %+v", name, e)
		}
	}
}

// TestUIA_WhomClientsName in front of their password: the one whose token it is, in either
// form, or nobody.
func TestUIA_WhomClientsName(t *testing.T) {
	r := newRig(t, options{})
	for auth, want := range map[string]bool{
		`{}`:                                           true,
		`{"user":"alice"}`:                             true,
		`{"user":"ALICE"}`:                             true,
		`{"user":"@alice:example.org"}`:                true,
		`{"user":"@ALICE:example.org"}`:                false,
		`{"user":"@alice:other.org"}`:                  false,
		`{"user":"bob"}`:                               false,
		`{"user":"alic"}`:                              false,
		`{"user":""}`:                                  false,
		`{"user":5}`:                                   false,
		`{"user":null,"identifier":null}`:              true,
		`{"identifier":{}}`:                            true,
		`{"identifier":5}`:                             false,
		`{"identifier":{"user":"alice"}}`:              true,
		`{"identifier":{"user":"bob"}}`:                false,
		`{"identifier":{"user":5}}`:                    false,
		`{"user":"alice","identifier":{"user":"bob"}}`: false,
		`{"user":"bob","identifier":{"user":"alice"}}`: false,
		`{"user":"alice","identifier":{"user":"@alice:example.org"}}`:    true,
		`{"identifier":{"type":"m.id.thirdparty","address":"a@x.org"}}`:  true,
		`{"identifier":{"type":"m.id.user","user":"@alice:example.or"}}`: false,
	} {
		a := &authentication{client: r.client, who: &hsapi.Account{User: alice}, auth: mustObject(t, []byte(auth))}
		if got := a.namesUser(); got != want {
			t.Errorf("%s: names alice: %v, want %v", auth, got, want)
		}
	}
}

// TestUIA_AProofByMail is one of an address of the account, of email, that is read; and is
// counted like a password.
func TestUIA_AProofByMail(t *testing.T) {
	r, _ := phoneRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 1, Per: time.Hour} }})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.hs.AddThreepid("alice", "msisdn", "447400123456")
	token := r.login("alice", "secret")
	as := func(w http.ResponseWriter, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+token)
		return r.next(w, req)
	}
	prove := func(sid, secret string) (*authentication, error) {
		return r.proving(fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}`, sid, secret), as)
	}
	number, code := r.openPhone("account/password", "n")
	wantStatus(t, r.submitPhone(number, "n", code), http.StatusOK)
	_, err := prove(number, "n")
	wantChallenge(t, "a number", err, wire.CodeUnauthorized, wire.StagePassword, wire.StageEmail)
	_, err = prove(r.validated("account/password", "b", "bob@x.org"), "b")
	wantChallenge(t, "somebody else's", err, wire.CodeForbidden, wire.StagePassword, wire.StageEmail)
	mail := r.validated("account/password", "c", "alice@x.org")
	_, err = prove(mail, "d")
	wantChallenge(t, "with another secret", err, wire.CodeUnauthorized, wire.StagePassword, wire.StageEmail)
	if a, err := prove(mail, "c"); err != nil || a.shown == nil {
		t.Fatalf("got %v, want it taken", err)
	} else {
		a.settle(t.Context(), verification.Refused)
		a.settle(t.Context(), verification.Completed) // once only
	}
	if _, err := prove(mail, "c"); report.LimitOf(err) == "" {
		t.Errorf("got %v, want it counted", err)
	}
	r.clock.Advance(time.Hour)
	a, err := prove(mail, "c")
	if err != nil {
		t.Fatalf("got %v after a refusal, want it taken again", err)
	}
	a.settle(t.Context(), verification.Completed)
	r.clock.Advance(time.Hour)
	_, err = prove(mail, "c")
	wantChallenge(t, "once more", err, wire.CodeUnauthorized, wire.StagePassword, wire.StageEmail)
}

// TestUIA_NothingIsProvenByAStoreThatFails, nor by a homeserver that does not list the
// addresses; and the proof is good afterwards.
func TestUIA_NothingIsProvenByAStoreThatFails(t *testing.T) {
	disk := &storetest.Breaking{Err: errDisk}
	r := newRig(t, options{service: func(c *verification.Config) {
		disk.Store = c.Store
		c.Store = disk
	}})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	lists := true
	prove := func(n int) (broke string, err error) {
		secret := fmt.Sprint("c", n)
		sid := r.validated("account/password", secret, "alice@x.org")
		disk.Arm(n)
		_, err = r.proving(fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":%q}}`, sid, secret), func(w http.ResponseWriter, req *http.Request) error {
			if !lists {
				return upstream(503, `{}`)(w, req)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			return r.next(w, req)
		})
		broke = disk.Broke()
		disk.Arm(0)
		r.clock.Advance(time.Hour)
		return broke, err
	}
	n := 1
	for ; ; n++ {
		broke, err := prove(n)
		if broke == "" {
			break
		}
		if err == nil {
			t.Errorf("operation %d, %s: it is proven", n, broke)
		}
	}
	if n < 4 {
		t.Errorf("%d operations have failed", n-1)
	}
	lists = false
	if _, err := prove(0); err == nil {
		t.Error("it is proven whose address it is, and nobody has said so")
	}
}
