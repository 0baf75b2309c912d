// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

var (
	remote = fakehs.Options{ResetMode: fakehs.ResetRemote}
	reset  = `{"new_password":"new","auth":` + emailAuth("") + `}`
)

func TestResetOffersTwoFlows(t *testing.T) {
	w := newWorld(t, remote)
	got := w.post("/account/password", "", `{"new_password":"x"}`)
	id, _ := got.json["session"].(string)
	got.isJSON(t, `{"session":"`+id+`","params":{},"flows":[
		{"stages":["m.login.email.identity"]},{"stages":["m.login.msisdn"]}]}`)
	got.wants(t, 401, "")
}

func TestResetByEmailWithoutASessionLogsEverythingOut(t *testing.T) {
	w := newWorld(t, remote)
	w.hs.AddUser("alice", "old", "alice@example.org")
	token := w.token("alice", "old")
	w.is.validated("ALICE@example.org") // stored and looked up in lower case
	w.post("/account/password", "", reset).isJSON(t, "{}")
	if w.hs.CheckPassword("alice", "old") || !w.hs.CheckPassword("alice", "new") {
		t.Error("got the old password, want the new one")
	}
	w.do("GET", r0+"/account/whoami", token, "").wants(t, 401, "M_UNKNOWN_TOKEN")
	w.token("alice", "new")
}

func TestResetRefuses(t *testing.T) {
	phone := strings.Replace(reset, "email.identity", "msisdn", 1)
	for _, tc := range []struct {
		name    string
		answer  answer
		body    string
		status  int
		errcode string
	}{
		{"unknown address", answer{200, `{"medium":"email","address":"b@example.org","validated_at":1}`}, reset, 404, "M_NOT_FOUND"},
		{"no address", answer{200, `{"medium":"email"}`}, reset, 500, "M_UNKNOWN"},
		{"not validated, the old way", answer{200, `{}`}, reset, 401, "M_UNAUTHORIZED"},
		{"not validated, the new way", answer{400, `{"errcode":"M_SESSION_NOT_VALIDATED"}`}, reset, 400, "M_SESSION_NOT_VALIDATED"},
		{"untrusted", answer{}, strings.ReplaceAll(reset, "$IS", "matrix.org"), 401, "M_UNAUTHORIZED"},
		{"by phone, which never worked", answer{200, `{"medium":"msisdn","address":"4477","validated_at":1}`}, phone, 500, "M_UNKNOWN"},
		{
			"no new_password",
			answer{200, `{"medium":"email","address":"alice@example.org","validated_at":1}`},
			strings.Replace(reset, `"new_password":"new",`, "", 1), 400, "M_MISSING_PARAM",
		},
		{
			"a new_password that is a number",
			answer{200, `{"medium":"email","address":"alice@example.org","validated_at":1}`},
			strings.Replace(reset, `"new"`, "1", 1), 500, "M_UNKNOWN",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, remote)
			w.hs.AddUser("alice", "old", "alice@example.org")
			w.is.answer(checkPath, tc.answer.status, tc.answer.body)
			w.post("/account/password", "", tc.body).wants(t, tc.status, tc.errcode)
			if !w.hs.CheckPassword("alice", "old") {
				t.Error("got the password changed, want it kept")
			}
		})
	}
}

func TestResetWhenOff(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "old", "alice@example.org")
	w.is.validated("alice@example.org")
	w.post("/account/password", "", `{"new_password":"x"}`).wants(t, 401, "")
	w.post("/account/password", "", reset).isJSON(t,
		`{"errcode":"M_UNKNOWN","error":"Password resets are not enabled on this homeserver"}`)
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls, want none", n)
	}
}

func TestResetWhenLocal(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetLocal})
	w.hs.AddUser("alice", "old", "alice@example.org")
	w.is.validated("alice@example.org")
	w.post(resetPath, "", ask("b@example.org", "")).wants(t, 400, "M_THREEPID_NOT_FOUND")

	var sid string
	for i, attempt := range []string{"1", "1", "0", "2"} {
		got := w.post(resetPath, "", `{"client_secret":"C1","email":"alice@example.org","send_attempt":`+attempt+`}`)
		got.wants(t, 200, "")
		if i > 0 && got.json["sid"] != sid {
			t.Errorf("attempt %s: got sid %v, want %s again", attempt, got.json["sid"], sid)
		}
		sid, _ = got.json["sid"].(string)
	}
	open := w.hs.LocalResets()
	want := fakehs.LocalReset{SID: sid, ClientSecret: "C1", Email: "alice@example.org", Mails: 2}
	if len(open) != 1 || open[0] != want {
		t.Fatalf("got %+v, want %+v", open, want)
	}

	mine := strings.ReplaceAll(reset, "S1", sid)
	w.post("/account/password", "", reset).wants(t, 401, "M_UNAUTHORIZED") // a foreign session
	w.post("/account/password", "", mine).wants(t, 401, "M_UNAUTHORIZED")  // not clicked yet
	if w.hs.ValidateLocal("nothing") || !w.hs.ValidateLocal(sid) {
		t.Error("got the wrong session validated")
	}
	w.post("/account/password", "", strings.ReplaceAll(mine, "C1", "C2")).wants(t, 401, "M_UNAUTHORIZED")
	w.post("/account/password", "", mine).wants(t, 200, "")
	w.post("/account/password", "", mine).wants(t, 401, "M_UNAUTHORIZED") // used up
	if !w.hs.CheckPassword("alice", "new") {
		t.Error("got the old password, want the new one")
	}
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls to an identity server, want none", n)
	}
}

func TestChangeByPasswordKeepsTheAskingTokenOnly(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "old")
	w.hs.AddUser("eve", "evil")
	asking, other := w.token("alice", "old"), w.token("alice", "old")
	const path = "/account/password"
	first := w.post(path, asking, `{"new_password":"new"}`)
	first.wants(t, 401, "")
	if got := first.json["flows"].([]any); len(got) != 1 {
		t.Errorf("got flows %v, want the password alone", got)
	}
	auth := func(user, password string) string {
		return `{"new_password":"new","auth":{"type":"m.login.password","user":"` + user + `","password":"` + password + `"}}`
	}
	w.post(path, asking, auth("alice", "wrong")).wants(t, 401, "M_FORBIDDEN")
	w.post(path, asking, auth("eve", "evil")).wants(t, 403, "M_FORBIDDEN")
	w.post(path, "unknown", auth("alice", "old")).wants(t, 401, "M_UNKNOWN_TOKEN")
	w.post(path, asking, auth("alice", "old")).wants(t, 200, "")
	w.do("GET", r0+"/account/whoami", asking, "").wants(t, 200, "")
	w.do("GET", r0+"/account/whoami", other, "").wants(t, 401, "M_UNKNOWN_TOKEN")
	if !w.hs.CheckPassword("alice", "new") {
		t.Error("got the old password, want the new one")
	}
}

func TestDeactivate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		unbind int
		named  bool
		status int
		result string
	}{
		{"nothing bound", 200, false, 200, "no-support"},
		{"named server", 200, true, 200, "success"},
		{"named server that cannot", 404, true, 200, "no-support"},
		{"named server that is broken", 500, true, 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, fakehs.Options{})
			w.hs.AddUser("alice", "pw", "a@example.org")
			w.is.answer(unbind, tc.unbind, `{}`)
			token := w.token("alice", "pw")
			server := ""
			if tc.named {
				server = `,"id_server":"$IS"`
			}
			got := w.post("/account/deactivate", token, `{"auth":{"type":"m.login.password","user":"alice","password":"pw"}`+server+`}`)
			if result, _ := got.json["id_server_unbind_result"].(string); got.status != tc.status || result != tc.result {
				t.Errorf("got %d %s, want %d %q", got.status, got.raw, tc.status, tc.result)
			}
			alive := tc.status != 200
			if w.hs.HasUser("alice") != alive || (len(w.hs.Emails("alice")) == 1) != alive {
				t.Errorf("got account %v with %v, want alive %v", w.hs.HasUser("alice"), w.hs.Emails("alice"), alive)
			}
			if who := w.do("GET", r0+"/account/whoami", token, ""); (who.status == 200) != alive {
				t.Errorf("got whoami %d, want alive %v", who.status, alive)
			}
		})
	}
}

func TestDeactivateRefuses(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true})
	w.hs.AddUser("alice", "pw")
	token := w.token("alice", "pw")
	w.post("/account/deactivate", "", `{"erase":"yes"}`).wants(t, 400, "M_BAD_JSON")
	w.post("/account/deactivate", "", `{}`).wants(t, 401, "M_MISSING_TOKEN")
	w.post("/account/deactivate", token, `{}`).wants(t, 401, "")
	w.post("/account/deactivate", token, `{"erase":true,"auth":{"type":"m.login.password","user":"alice","password":"pw"}}`).
		isJSON(t, `{"id_server_unbind_result":"success"}`) // there was nothing to unbind
	w.post("/login", "", `{"type":"m.login.password","user":"alice","password":"pw"}`).wants(t, 403, "M_USER_DEACTIVATED")
	w.post("/register", "", `{"username":"alice"}`).wants(t, 400, "M_USER_IN_USE")
}
