// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func TestR15_R17_R32_F39_ResetPassword(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for name, creds := range map[string]string{
			"without id_server": `{"sid":"%s","client_secret":"s"}`,
			"with id_server":    `{"sid":"%s","client_secret":"s","id_server":"vector.im","id_access_token":"t"}`,
		} {
			r := newRig(t, opts)
			r.hs.AddUser("alice", "old", "alice@x.org")
			sid := r.validated("account/password", "s", "alice@x.org")
			body := `{"new_password":"correct horse","auth":{"type":"m.login.email.identity","threepid_creds":` + strings.ReplaceAll(creds, "%s", sid) + `}}`
			wantStatus(t, r.reset(body), http.StatusOK)
			if !r.hs.CheckPassword("alice", "correct horse") {
				t.Errorf("%s: the password did not change", name)
			}
			again := r.reset(strings.Replace(body, "correct horse", "thief", 1))
			wantStatus(t, again, http.StatusUnauthorized)
			if r.hs.CheckPassword("alice", "thief") {
				t.Errorf("%s: the session was used twice", name)
			}
		}
	})
}

func TestF37_Spellings(t *testing.T) {
	for name, auth := range map[string]string{
		"snake":           `"threepid_creds":{"sid":"SID","client_secret":"s"}`,
		"camel":           `"threepidCreds":{"sid":"SID","client_secret":"s"}`,
		"both":            `"threepid_creds":{"sid":"SID","client_secret":"s"},"threepidCreds":{"sid":"SID","client_secret":"s","id_server":"x"}`,
		"array":           `"threepidCreds":[{"sid":"SID","client_secret":"s","id_server":"x"}]`,
		"camel inside":    `"threepid_creds":{"sid":"SID","clientSecret":"s","idServer":"x"}`,
		"null and object": `"threepid_creds":null,"threepidCreds":{"sid":"SID","client_secret":"s"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{})
			r.hs.AddUser("alice", "old", "alice@x.org")
			sid := r.validated("account/password", "s", "alice@x.org")
			rec := r.reset(`{"new_password":"new one","auth":{"type":"m.login.email.identity",` + strings.ReplaceAll(auth, "SID", sid) + `}}`)
			wantStatus(t, rec, http.StatusOK)
			forwarded := string(r.hs.Requests()[len(r.hs.Requests())-1].Body)
			for _, want := range []string{`"threepid_creds":{`, `"threepidCreds":{`, `"id_server":"localhost:8443"`} {
				if !strings.Contains(forwarded, want) {
					t.Errorf("the homeserver saw %s, want %s in it", forwarded, want)
				}
			}
			if strings.Contains(forwarded, sid) {
				t.Error("the homeserver saw the real sid")
			}
		})
	}
}

func TestDifferingSpellingsAreRefused(t *testing.T) {
	r := newRig(t, options{})
	for _, creds := range []string{
		`"threepid_creds":{"sid":"a","client_secret":"s"},"threepidCreds":{"sid":"b","client_secret":"s"}`,
		`"threepid_creds":{"sid":"a","client_secret":"s","clientSecret":"t"}`,
		`"threepid_creds":[{"sid":"a"},{"sid":"b"}]`,
		`"threepid_creds":"x"`,
	} {
		rec := r.reset(`{"new_password":"x","auth":{"type":"m.login.email.identity",` + creds + `}}`)
		wantError(t, rec, http.StatusBadRequest, "M_INVALID_PARAM")
	}
	rec := r.reset(`{"auth":{"type":"m.login.email.identity","type":"m.login.dummy"}}`)
	wantError(t, rec, http.StatusBadRequest, "M_BAD_JSON")
	if n := len(r.hs.Requests()); n != 0 {
		t.Errorf("the homeserver saw %d requests, want none", n)
	}
}

func TestR26_F38_NotValidatedIs401(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := newRig(t, opts)
		r.hs.AddUser("alice", "old", "alice@x.org")
		sid := r.request("account/password", "s", "alice@x.org")
		for range 3 { // a client polls
			rec := r.reset(resetBody(sid, "s"))
			wantStatus(t, rec, http.StatusUnauthorized)
			wantCORS(t, rec)
		}
		wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
		wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	})
}

func TestAttacksOnCompletion(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for name, attack := range map[string]func(r *rig) *httptest.ResponseRecorder{
			"another secret": func(r *rig) *httptest.ResponseRecorder {
				return r.reset(resetBody(r.validated("account/password", "s", "alice@x.org"), "t"))
			},
			"no secret": func(r *rig) *httptest.ResponseRecorder {
				sid := r.validated("account/password", "s", "alice@x.org")
				return r.reset(`{"new_password":"thief","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"` + sid + `"}}}`)
			},
			"expired": func(r *rig) *httptest.ResponseRecorder {
				sid := r.validated("account/password", "s", "alice@x.org")
				r.clock.Advance(24*time.Hour + time.Second)
				return r.reset(resetBody(sid, "s"))
			},
			"made up": func(r *rig) *httptest.ResponseRecorder {
				return r.reset(`{"new_password":"thief","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"x","client_secret":"s","id_server":"localhost:8443"}}}`)
			},
			"around the proxy": func(r *rig) *httptest.ResponseRecorder {
				sid := r.validated("account/password", "s", "alice@x.org")
				req := httptest.NewRequest("POST", "/_matrix/client/r0/account/password",
					strings.NewReader(strings.Replace(resetBody(sid, "s"), `"sid"`, `"id_server":"localhost:8443","sid"`, 1)))
				rec := httptest.NewRecorder()
				r.hs.ServeHTTP(rec, req)
				return rec
			},
		} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, opts)
				r.hs.AddUser("alice", "old", "alice@x.org")
				wantStatus(t, attack(r), http.StatusUnauthorized)
				if !r.hs.CheckPassword("alice", "old") {
					t.Error("the password changed")
				}
			})
		}
	})
}

func TestPurposeIsBound(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	for _, purpose := range []string{"register", "account/3pid"} {
		wantStatus(t, r.reset(resetBody(r.validated(purpose, "s", "alice@x.org"), "s")), http.StatusUnauthorized)
	}
	token := r.login("alice", "old")
	sid := r.validated("account/password", "s2", "other@x.org")
	rec := r.add(token, "r0", `{"three_pid_creds":{"sid":"`+sid+`","client_secret":"s2"}}`)
	wantError(t, rec, http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
}

// TestR60_ForeignIdentityServer: what a server of the user's choice has
// validated counts for nothing, wherever it is shown.
func TestR60_ForeignIdentityServer(t *testing.T) {
	const creds = `{"sid":"x","client_secret":"s","id_server":"vector.im"}`
	const auth = `"auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}`
	for path, body := range map[string]string{
		"/_matrix/client/r0/account/password": `{"new_password":"x",` + auth + `}`,
		"/_matrix/client/v3/register":         `{"username":"mallory","password":"x",` + auth + `}`,
		"/_matrix/client/r0/account/3pid":     `{"three_pid_creds":` + creds + `}`,
		deactivatePath:                        `{` + auth + `}`,
		"/_matrix/client/r0/delete_devices":   `{"devices":[],` + auth + `}`,
	} {
		r := newRig(t, options{})
		r.hs.AddUser("alice", "old", "alice@x.org")
		token := r.login("alice", "old")
		wantError(t, r.as(token, "POST", path, body), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
		for _, req := range r.hs.Requests() {
			if strings.Contains(string(req.Body), "vector.im") {
				t.Errorf("%s: the homeserver saw %s", path, req.Body)
			}
		}
		r.wantEmails(t, "alice", "alice@x.org")
	}
}

func TestR50_R51_R52_R56_F36_AddEmail(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for name, body := range map[string]string{
			"sid and secret": `{"three_pid_creds":{"sid":"SID","client_secret":"s"}}`,
			"id_server":      `{"three_pid_creds":{"sid":"SID","client_secret":"s","id_server":"vector.im","id_access_token":"t"}}`,
			"camel, bind":    `{"threePidCreds":{"sid":"SID","client_secret":"s","id_server":"vector.im"},"bind":true}`,
		} {
			r := newRig(t, opts)
			r.hs.AddUser("alice", "old")
			token := r.login("alice", "old")
			sid := r.validated("account/3pid", "s", "Alice@x.org")
			rec := r.add(token, "v3", strings.ReplaceAll(body, "SID", sid))
			wantStatus(t, rec, http.StatusOK)
			if got := r.hs.Emails("alice"); len(got) != 1 || got[0] != "alice@x.org" {
				t.Errorf("%s: got addresses %q, want alice@x.org", name, got)
			}
			for _, call := range r.hs.IDServerCalls() {
				if strings.HasSuffix(call.URL, "/bind") {
					t.Errorf("%s: a bind request reached %s", name, call.URL)
				}
			}
		}
	})
}

func TestR55_R57_AddBeforeTheClick(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old")
	token := r.login("alice", "old")
	sid := r.request("account/3pid", "s", "alice@x.org")
	body := `{"three_pid_creds":{"sid":"` + sid + `","client_secret":"s"}}`
	wantError(t, r.add(token, "r0", body), http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
	if got := r.hs.Emails("alice"); len(got) != 0 {
		t.Errorf("got addresses %q, want none", got)
	}
	wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
	wantStatus(t, r.add(token, "r0", body), http.StatusOK)
}

func TestR12_R25_Register(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		opts.hs = func(o *fakehs.Options) { o.Require3PIDEmail = true; o.DisableMSISDNRegistration = true }
		r := newRig(t, opts)
		first := r.do("POST", "/_matrix/client/v3/register", `{"username":"alice","password":"correct horse","bind_email":true,"bind_msisdn":true}`)
		wantStatus(t, first, http.StatusUnauthorized)
		session := decoded(t, first)["session"].(string)
		sid := r.request("register", "s", "Alice@x.org")
		body := `{"username":"alice","password":"correct horse","bind_email":true,"auth":{"type":"m.login.email.identity","session":"` + session +
			`","threepid_creds":{"sid":"` + sid + `","client_secret":"s"},"threepidCreds":{"sid":"` + sid + `","client_secret":"s"}}}`
		wantStatus(t, r.do("POST", "/_matrix/client/v3/register", body), http.StatusUnauthorized)
		wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
		wantStatus(t, r.do("POST", "/_matrix/client/v3/register", body), http.StatusOK)
		if !r.hs.CheckPassword("alice", "correct horse") {
			t.Error("no account was made")
		}
		if got := r.hs.Emails("alice"); len(got) != 1 || got[0] != "alice@x.org" {
			t.Errorf("got addresses %q, want alice@x.org", got)
		}
		for _, req := range r.hs.Requests() {
			if strings.Contains(string(req.Body), "bind_") {
				t.Errorf("the homeserver saw %s", req.Body)
			}
		}
		for _, call := range r.hs.IDServerCalls() {
			if !strings.HasPrefix(call.URL, "https://localhost:8443/") || strings.HasSuffix(call.URL, "/bind") {
				t.Errorf("the homeserver called %s", call.URL)
			}
		}
	})
}

func TestMultiStageRegistrationConsumesAtTheStage(t *testing.T) {
	var answers []string
	r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, err := w.Write([]byte(answers[0]))
		answers = answers[1:]
		return err
	}})
	sid := r.validated("register", "s", "a@x.org")
	body := `{"auth":{"type":"m.login.email.identity","session":"` + r.registrationName("u1") + `","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}}}`
	refused := `{"errcode":"M_UNAUTHORIZED","error":"","session":"u1"}`
	listed := `{"session":"u1","completed":["m.login.email.identity"],"flows":[]}`
	for _, c := range []struct {
		answer string
		live   bool
	}{{refused, true}, {listed, true}, {listed, false}} {
		answers = []string{c.answer}
		var forwarded string
		inner := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			raw, _ := wire.ReadBody(w, req, 1<<20)
			forwarded = string(raw)
			return inner(w, req)
		}
		wantStatus(t, r.do("POST", "/_matrix/client/r0/register", body), http.StatusUnauthorized)
		r.next = inner
		// A stage that the homeserver has is not sent again: only the session is.
		if got := strings.Contains(forwarded, "threepid_creds"); got != c.live {
			t.Errorf("after %s the homeserver saw %s", c.answer, forwarded)
		}
	}
}

// TestUnknownSessionsPassByteForByte: on paths that are not ours. What becomes
// of them on ours, TestForwardedBodiesAreMadeAnew says.
func TestUnknownSessionsPassByteForByte(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for path, body := range map[string]string{
			"/_matrix/client/r0/delete_devices": `{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"theirs","client_secret":"s"}}, "d":[]}`,
			"/_matrix/client/r0/createRoom":     `{"invite_3pid":[{"id_server":"vector.im","id_access_token":"t","medium":"email","address":"a@x.org"}]}`,
		} {
			r := newRig(t, opts)
			r.do("POST", path, body)
			got := r.hs.Requests()
			if len(got) != 1 || string(got[0].Body) != body {
				t.Errorf("%s: the homeserver saw %q, want %q", path, got[0].Body, body)
			}
		}
	})
}

func TestF40_InvitesPassUnchanged(t *testing.T) {
	body := `{"id_server":"vector.im","id_access_token":"t","medium":"email","address":"a@x.org"}`
	for _, path := range []string{"/_matrix/client/r0/rooms/%21a%3Ax/invite", "/_matrix/client/v3/createRoom"} {
		r := newRig(t, options{})
		r.do("POST", path, body)
		got := r.hs.Requests()
		if len(got) != 1 || string(got[0].Body) != body || got[0].Path != path {
			t.Errorf("the homeserver saw %+v", got)
		}
	}
}

func TestGenericUIA(t *testing.T) {
	var path, forwarded string
	r := newRig(t, options{})
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		path, forwarded = req.URL.Path, string(raw)
		w.WriteHeader(http.StatusOK)
		return err
	}
	sid := r.validated("account/password", "s", "a@x.org")
	body := `{"auth":{"type":"m.login.email.identity","session":"u","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}},"devices":["D"]}`
	wantStatus(t, r.do("POST", "/_matrix/client/v3/delete_devices", body), http.StatusOK)
	if strings.Contains(forwarded, sid) || !strings.Contains(forwarded, `"id_server":"localhost:8443"`) || path != "/_matrix/client/r0/delete_devices" {
		t.Errorf("the homeserver saw %s %s", path, forwarded)
	}
	duplicate := `{"auth":{"type":"m.login.email.identity","threepid_creds":{}},"auth":{}}`
	wantError(t, r.do("POST", "/_matrix/client/v3/delete_devices", duplicate), http.StatusBadRequest, "M_BAD_JSON")
	big := `{"auth":{"type":"m.login.email.identity"},"pad":"` + strings.Repeat("x", DefaultMaxBody) + `"}`
	wantStatus(t, r.do("POST", "/_matrix/client/v3/sendToDevice/x", big), http.StatusOK)
	if forwarded != big {
		t.Error("a large body did not pass unchanged")
	}
}

func TestOneOfManyCompletes(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 50 {
		wg.Go(func() {
			rec := httptest.NewRecorder()
			req := httptest.NewRequest("POST", "/_matrix/client/r0/account/password", strings.NewReader(resetBody(sid, "s")))
			if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if rec.Code == http.StatusOK {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d requests completed one session, want 1", won)
	}
}

func TestLostAnswerNeverCompletesTwice(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	answer := r.next
	r.next = func(http.ResponseWriter, *http.Request) error {
		return &wire.UpstreamError{Status: 502, Err: wire.ErrNoAnswer}
	}
	wantError(t, r.reset(resetBody(sid, "s")), http.StatusBadGateway, "M_UNKNOWN")
	r.next = func(_ http.ResponseWriter, req *http.Request) error {
		if err := answer(httptest.NewRecorder(), req); err != nil {
			return err
		}
		panic(http.ErrAbortHandler) // it acted, and the answer was lost
	}
	wantError(t, r.reset(resetBody(sid, "s")), http.StatusBadGateway, "M_UNKNOWN")
	if !r.hs.CheckPassword("alice", "correct horse") {
		t.Fatal("a homeserver that was down must leave the session usable")
	}
	r.next = answer
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)
}

func TestHomeserversOwnSessionGetsItsNonceBack(t *testing.T) {
	r := newRig(t, options{config: callback.config, hs: func(o *fakehs.Options) { o.ResetMode = fakehs.ResetLocal }})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.request("account/password", "s", "alice@x.org")
	if r.svc.Owns(threepid.SID(sid)) || r.box.count() != 0 {
		t.Fatal("the session should be the homeserver's own")
	}
	nonce, _, _ := mustObject(t, r.hs.Requests()[0].Body).Text("client_secret")
	r.reset(resetBody(sid, "s"))
	forwarded := string(r.hs.Requests()[1].Body)
	if !strings.Contains(forwarded, nonce) || strings.Contains(forwarded, "id_server") {
		t.Errorf("the homeserver saw %s", forwarded)
	}
	r.reset(resetBody(sid, "other"))
	if got := string(r.hs.Requests()[2].Body); !strings.Contains(got, `"client_secret":"other"`) || strings.Contains(got, nonce) {
		t.Errorf("a wrong secret was replaced: %s", got)
	}
}

func mustObject(t *testing.T, raw []byte) wire.Object {
	t.Helper()
	o, err := wire.ParseObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCompletionBadInput(t *testing.T) {
	r := newRig(t, options{})
	for _, path := range []string{"register", "account/password", "account/3pid", "account/3pid/add"} {
		target := "/_matrix/client/r0/" + path
		wantError(t, r.do("POST", target, "{"), http.StatusBadRequest, "M_NOT_JSON")
		wantError(t, r.do("POST", target, "[]"), http.StatusBadRequest, "M_BAD_JSON")
		wantError(t, r.do("POST", target, `{"a":1,"a":2}`), http.StatusBadRequest, "M_BAD_JSON")
		wantError(t, r.do("POST", target, `"`+strings.Repeat("x", DefaultMaxBody)+`"`), http.StatusRequestEntityTooLarge, "M_TOO_LARGE")
	}
	if n := len(r.hs.Requests()); n != 0 {
		t.Errorf("the homeserver saw %d requests, want none", n)
	}
}

func TestF39_UIASessionIsNotASecondReset(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	first := r.reset(`{}`)
	wantStatus(t, first, http.StatusUnauthorized)
	session := decoded(t, first)["session"].(string)
	sid := r.validated("account/password", "s", "alice@x.org")
	auth := `"auth":{"type":"m.login.email.identity","session":"` + session + `","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}}`
	// The homeserver keeps the proof, although the request is refused.
	wantStatus(t, r.reset(`{`+auth+`}`), http.StatusBadRequest)
	wantStatus(t, r.reset(`{"new_password":"around","auth":{"session":"`+session+`"}}`), http.StatusUnauthorized)
	wantStatus(t, r.reset(`{"new_password":"mine",`+auth+`}`), http.StatusOK)
	own := r.validated("account/password", "t", "thief@x.org") // a good proof, of nothing
	beside := `{"type":"m.login.msisdn","session":"` + session + `","threepid_creds":{"sid":"` + own + `","client_secret":"t"}}`
	for _, again := range []string{
		`{"new_password":"thief","auth":{"session":"` + session + `"}}`, `{"new_password":"thief",` + auth + `}`, `{"new_password":"thief","auth":` + beside + `}`,
	} {
		wantStatus(t, r.reset(again), http.StatusUnauthorized)
	}
	if !r.hs.CheckPassword("alice", "mine") {
		t.Error("one click was worth more than one reset")
	}
}

func TestR16_PhoneStageIsTreatedAlike(t *testing.T) {
	var forwarded string
	r := newRig(t, options{})
	sid := r.validated("register", "s", "a@x.org")
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		forwarded = string(raw)
		w.WriteHeader(http.StatusUnauthorized)
		return err
	}
	body := `{"auth":{"type":"m.login.msisdn","session":"u","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}}}`
	wantStatus(t, r.do("POST", "/_matrix/client/r0/register", body), http.StatusUnauthorized)
	if strings.Contains(forwarded, sid) || !strings.Contains(forwarded, `"id_server":"localhost:8443"`) {
		t.Errorf("the homeserver saw %s", forwarded)
	}
}

func TestR26_UIASessionOfARegistrationResetsNothing(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	// In checks off anybody may ask for a registration with a taken address,
	// and its owner may click. The homeserver keeps that proof.
	session := decoded(t, r.do("POST", "/_matrix/client/r0/register", `{}`))["session"].(string)
	sid := r.validated("register", "s", "alice@x.org")
	rec := r.do("POST", "/_matrix/client/r0/register", `{"username":"mallory","password":"pw","auth":{"type":"m.login.email.identity","session":"`+
		session+`","threepid_creds":{"sid":"`+sid+`","client_secret":"s"}}}`)
	if rec.Code == http.StatusOK {
		t.Fatalf("a taken address was registered: %s", rec.Body)
	}
	wantStatus(t, r.reset(`{"new_password":"thief","auth":{"session":"`+session+`"}}`), http.StatusUnauthorized)
	// A session of the attacker's own at the other stage is no ticket either.
	own := r.validated("account/password", "t", "mallory@x.org")
	wantStatus(t, r.reset(`{"new_password":"thief","auth":{"type":"m.login.msisdn","session":"`+session+
		`","threepid_creds":{"sid":"`+own+`","client_secret":"t"}}}`), http.StatusUnauthorized)
	if !r.hs.CheckPassword("alice", "old") {
		t.Error("a click for a registration reset a password")
	}
}

// TestPasswordStageNamesItsUserBothWays: Synapse up to 1.3.1 reads auth.user,
// clients of today write auth.identifier.
func TestPasswordStageNamesItsUserBothWays(t *testing.T) {
	for auth, want := range map[string]string{
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"}}`:            `"alice"`,
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"user":"a"}`: `"a"`,
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":5}}`:                  `5`,
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":"@alice:x.org"}}`:     `"@alice:x.org"`,
		`{"type":"m.login.password","identifier":{"type":"m.id.thirdparty","user":"alice"}}`:      ``,
		`{"type":"m.login.password","identifier":5}`:                                              ``,
		`{"type":"m.login.token","identifier":{"type":"m.id.user","user":"alice"}}`:               ``,

		`{"type":"m.login.password"}`: ``,
	} {
		var seen struct{ Auth wire.Object }
		r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
			raw, err := wire.ReadBody(w, req, 1<<20)
			w.WriteHeader(http.StatusOK)
			return errors.Join(err, json.Unmarshal(raw, &seen))
		}})
		r.do("POST", "/_matrix/client/r0/account/password", `{"new_password":"n","auth":`+auth+`}`)
		if got := string(seen.Auth["user"]); got != want {
			t.Errorf("for %s the homeserver saw user %s, want %s", auth, got, want)
		}
	}
}
