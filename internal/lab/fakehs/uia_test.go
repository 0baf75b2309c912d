// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

func TestEmailStageFailuresAreBareErrors(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  answer // of getValidated3pid
		auth    string
		status  int
		errcode string
	}{
		{"no creds", answer{}, `{"type":"m.login.email.identity"}`, 400, "M_MISSING_PARAM"},
		{"only the old spelling", answer{}, `{"type":"m.login.email.identity","threepidCreds":` + credsJSON + `}`, 400, "M_MISSING_PARAM"},
		{"creds in an array", answer{}, `{"type":"m.login.email.identity","threepid_creds":[` + credsJSON + `]}`, 400, "M_UNKNOWN"},
		{"creds are null", answer{}, `{"type":"m.login.email.identity","threepid_creds":null}`, 500, "M_UNKNOWN"},
		{"no id_server", answer{}, `{"type":"m.login.email.identity","threepid_creds":{"sid":"S1","client_secret":"C1"}}`, 400, "M_UNKNOWN"},
		{"no client_secret", answer{}, `{"type":"m.login.email.identity","threepid_creds":{"sid":"S1","id_server":"$IS"}}`, 400, "M_UNKNOWN"},
		{"no sid", answer{}, `{"type":"m.login.email.identity","threepid_creds":{"client_secret":"C1","id_server":"$IS"}}`, 500, "M_UNKNOWN"},
		{"untrusted", answer{}, strings.ReplaceAll(emailAuth(""), "$IS", "vector.im"), 401, "M_UNAUTHORIZED"},
		{"2xx without medium", answer{200, `{"errcode":"M_SESSION_NOT_VALIDATED","error":"no"}`}, emailAuth(""), 401, "M_UNAUTHORIZED"},
		{"2xx with another medium", answer{200, `{"medium":"msisdn","address":"1","validated_at":1}`}, emailAuth(""), 401, "M_UNAUTHORIZED"},
		{"400 is relayed", answer{400, `{"errcode":"M_SESSION_NOT_VALIDATED","error":"no"}`}, emailAuth(""), 400, "M_SESSION_NOT_VALIDATED"},
		{"404 is relayed", answer{404, `{"errcode":"M_NO_VALID_SESSION","error":"no"}`}, emailAuth(""), 404, "M_NO_VALID_SESSION"},
		{"not JSON", answer{200, "yes"}, emailAuth(""), 500, "M_UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, open)
			w.is.answer(checkPath, tc.answer.status, tc.answer.body)
			got := w.post("/register", "", `{"username":"bob","password":"pw","auth":`+tc.auth+`}`)
			got.wants(t, tc.status, tc.errcode)
			if _, ok := got.json["flows"]; ok {
				t.Errorf("got %s, want no flows in it", got.raw)
			}
			if w.hs.HasUser("bob") {
				t.Error("got an account, want none")
			}
		})
	}
}

func TestOldSpellingsInsideCredsAreRead(t *testing.T) {
	w := newWorld(t, open)
	w.is.validated("b@example.org")
	w.post("/register", "", `{"username":"bob","password":"pw","auth":{"type":"m.login.email.identity",
		"threepid_creds":{"sid":"S 1&","clientSecret":"C/1","idServer":"$IS"}}}`).wants(t, 200, "")
	if got, want := w.is.calls(checkPath)[0].query, "sid=S+1%26&client_secret=C%2F1"; got != want {
		t.Errorf("got query %q, want %q", got, want)
	}
}

func TestTheRedirectOfAGetIsFollowed(t *testing.T) {
	w := newWorld(t, open)
	w.is.answer(checkPath, 302, "/moved")
	w.is.answer("/moved", 200, `{"medium":"email","address":"b@example.org","validated_at":1}`)
	w.post("/register", "", `{"username":"bob","password":"pw","auth":`+emailAuth("")+`}`).wants(t, 200, "")
}

func TestOtherStageFailuresAreMergedIntoTheFlows(t *testing.T) {
	w := newWorld(t, open)
	w.is.answer(checkPath, 200, `{}`)
	phone := strings.Replace(emailAuth(""), "email.identity", "msisdn", 1)
	for auth, want := range map[string]string{
		phone:                          "M_UNAUTHORIZED",
		`{"type":"m.login.msisdn"}`:    "M_MISSING_PARAM",
		`{"type":"m.login.recaptcha"}`: "M_CAPTCHA_NEEDED",
		`{"type":"m.login.password","user":"nobody","password":"x"}`: "M_FORBIDDEN",
	} {
		got := w.post("/register", "", `{"username":"bob","password":"pw","auth":`+auth+`}`)
		got.wants(t, 401, want)
		if got.json["flows"] == nil || got.json["session"] == nil || got.json["completed"] == nil {
			t.Errorf("%s: got %s, want flows, session and completed", auth, got.raw)
		}
	}
	for auth, errcode := range map[string]string{
		`{"type":"m.login.unheard.of"}`:                               "M_MISSING_PARAM",
		`{"type":null}`:                                               "M_MISSING_PARAM",
		`{"type":"m.login.unheard.of","user":"bob"}`:                  "M_UNKNOWN",
		`{"type":"m.login.password","user":"bob","identifier":"bob"}`: "M_UNKNOWN",
	} {
		w.post("/register", "", `{"username":"bob","password":"pw","auth":`+auth+`}`).wants(t, 400, errcode)
	}
}

func TestSeveralStagesCompleteOneByOne(t *testing.T) {
	w := newWorld(t, open)
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	first := w.post("/register", "", `{"auth":{"type":"m.login.terms","session":"`+id+`"}}`)
	first.wants(t, 401, "")
	if got := first.json["completed"].([]any); len(got) != 1 || got[0] != "m.login.terms" {
		t.Errorf("got completed %v, want the terms", got)
	}
	if first.json["session"] != id {
		t.Errorf("got session %v, want %s kept", first.json["session"], id)
	}
	w.post("/register", "", `{"auth":{"type":"m.login.dummy","session":"`+id+`"}}`).wants(t, 200, "")
}

func TestLaterParametersReplaceEarlierOnes(t *testing.T) {
	w := newWorld(t, open)
	id := w.session("/register", `{"username":"bob","password":"one"}`)
	w.post("/register", "", `{"username":"joe","password":"two","auth":{"session":"`+id+`"}}`).wants(t, 401, "")
	// A display name alone does not count as parameters.
	w.post("/register", "", `{"initial_device_display_name":"x","auth":{"type":"m.login.dummy","session":"`+id+`"}}`).wants(t, 200, "")
	if w.hs.HasUser("bob") || !w.hs.CheckPassword("joe", "two") {
		t.Error("got bob, want joe: Synapse keeps the last body that had parameters")
	}
}

func TestAnUnknownSessionIsReplacedByANewOne(t *testing.T) {
	w := newWorld(t, open)
	got := w.post("/register", "", `{"username":"bob","auth":{"session":"made-up"}}`)
	got.wants(t, 401, "")
	if id, _ := got.json["session"].(string); id == "made-up" || len(id) != 24 {
		t.Errorf("got session %q, want a new one of 24 characters", id)
	}
}

func TestAPollWithoutTypeAsksNobody(t *testing.T) {
	w := newWorld(t, open)
	w.is.validated("b@example.org")
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	w.post("/register", "", `{"auth":{"session":"`+id+`"}}`).wants(t, 401, "")
	w.post("/register", "", `{"auth":{}}`).wants(t, 401, "")
	w.post("/register", "", `{"auth":[]}`).wants(t, 401, "")
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls, want none", n)
	}
}

func TestACompletedSessionCanBeUsedAgain(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetRemote})
	w.hs.AddUser("alice", "old", "alice@example.org")
	w.is.validated("alice@example.org")
	id := w.session("/account/password", `{"new_password":"one"}`)
	w.post("/account/password", "", `{"auth":`+emailAuth(id)+`}`).wants(t, 200, "")
	w.is.answer(checkPath, 404, `{}`)
	w.post("/account/password", "", `{"new_password":"two","auth":{"session":"`+id+`"}}`).wants(t, 200, "")
	if !w.hs.CheckPassword("alice", "two") {
		t.Error("got the password kept, want the replay to work as it does in Synapse")
	}
}
