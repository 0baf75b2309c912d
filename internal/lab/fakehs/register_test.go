// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

var open = fakehs.Options{RegistrationEnabled: true}

// session starts interactive authentication and returns its session ID.
func (w *world) session(path, body string) string {
	w.Helper()
	got := w.post(path, "", body)
	id, ok := got.json["session"].(string)
	if got.status != 401 || !ok {
		w.Fatalf("start %s: got %d %s, want a 401 with a session", path, got.status, got.raw)
	}
	return id
}

func TestRegisterFlows(t *testing.T) {
	dummy, email, msisdn, both := []any{"m.login.dummy"}, []any{"m.login.email.identity"},
		[]any{"m.login.msisdn"}, []any{"m.login.msisdn", "m.login.email.identity"}
	for _, tc := range []struct {
		name             string
		require, noPhone bool
		want             [][]any
	}{
		{"default", false, false, [][]any{dummy, email, msisdn, both}},
		{"email required", true, false, [][]any{email, both}},
		{"no phones", false, true, [][]any{dummy, email}},
		{"email required, no phones", true, true, [][]any{email}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, fakehs.Options{
				RegistrationEnabled: true, Require3PIDEmail: tc.require, DisableMSISDNRegistration: tc.noPhone,
			})
			got := w.post("/register", "", `{"username":"bob","password":"pw"}`)
			var flows [][]any
			for _, f := range got.json["flows"].([]any) {
				flows = append(flows, f.(map[string]any)["stages"].([]any))
			}
			if got.status != 401 || !reflect.DeepEqual(flows, tc.want) {
				t.Errorf("got %d %v, want 401 %v", got.status, flows, tc.want)
			}
			if _, ok := got.json["completed"]; ok || len(got.json["params"].(map[string]any)) != 0 {
				t.Errorf("got %s, want empty params and no completed before an attempt", got.raw)
			}
		})
	}
}

func TestRegisterWithDummyLogsIn(t *testing.T) {
	w := newWorld(t, open)
	got := w.post("/register", "", `{"username":"Bob","password":"pw","device_id":"DEV","auth":{"type":"m.login.dummy"}}`)
	got.wants(t, 200, "")
	if got.json["user_id"] != "@bob:hs.example" || got.json["home_server"] != "hs.example" || got.json["device_id"] != "DEV" {
		t.Errorf("got %s, want @bob:hs.example on DEV", got.raw)
	}
	who := w.do("GET", r0+"/account/whoami", got.json["access_token"].(string), "")
	who.isJSON(t, `{"user_id":"@bob:hs.example"}`)
	if !w.hs.HasUser("bob") || !w.hs.CheckPassword("bob", "pw") || w.hs.CheckPassword("bob", "other") {
		t.Error("got no account bob with password pw, want one")
	}
}

func TestRegisterRefusesBeforeAuthentication(t *testing.T) {
	w := newWorld(t, open)
	w.hs.AddUser("alice", "pw")
	long := strings.Repeat("é", 513)
	for _, tc := range []struct {
		name, query, body string
		status            int
		errcode           string
	}{
		{"a guest", "?kind=guest", `{}`, 403, "M_UNKNOWN"},
		{"another kind", "?kind=robot", `{}`, 400, "M_UNRECOGNIZED"},
		{"a password that is a number", "", `{"password":1}`, 400, "M_UNKNOWN"},
		{"a long password", "", `{"password":"` + long + `"}`, 400, "M_UNKNOWN"},
		{"a username that is null", "", `{"username":null}`, 400, "M_UNKNOWN"},
		{"a shared secret", "", `{"mac":"x"}`, 400, "M_UNKNOWN"},
		{"a taken name", "", `{"username":"ALICE"}`, 400, "M_USER_IN_USE"},
		{"a bad name", "", `{"username":"a b"}`, 400, "M_INVALID_USERNAME"},
		{"an empty name", "", `{"username":""}`, 400, "M_INVALID_USERNAME"},
		{"a reserved name", "", `{"username":"_a"}`, 400, "M_INVALID_USERNAME"},
		{"a long name", "", `{"username":"` + strings.Repeat("a", 250) + `"}`, 400, "M_INVALID_USERNAME"},
		{"auth that is null", "", `{"auth":null}`, 500, "M_UNKNOWN"},
		{"auth that is a number", "", `{"auth":1}`, 500, "M_UNKNOWN"},
		{"a session that is a list", "", `{"auth":{"session":[]}}`, 500, "M_UNKNOWN"},
		{"a type that is a list", "", `{"auth":{"type":[]}}`, 500, "M_UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.post("/register"+tc.query, "", tc.body).wants(t, tc.status, tc.errcode)
		})
	}
	// Only application services have a token here, so any other is refused.
	w.post("/register", w.token("alice", "pw"), `{}`).wants(t, 401, "M_UNKNOWN_TOKEN")

	closed := newWorld(t, fakehs.Options{})
	closed.post("/register", "", `{"username":"bob","password":"pw"}`).wants(t, 403, "M_UNKNOWN")
}

func TestRegisterAfterAuthenticationRefuses(t *testing.T) {
	w := newWorld(t, open)
	dummy := `"auth":{"type":"m.login.dummy"}`
	w.post("/register", "", `{"username":"bob",`+dummy+`}`).wants(t, 400, "M_MISSING_PARAM")
	w.post("/register", "", `{"username":"123","password":"pw",`+dummy+`}`).wants(t, 400, "M_UNKNOWN")
	first := w.post("/register", "", `{"password":"pw",`+dummy+`}`)
	second := w.post("/register", "", `{"password":"pw","inhibit_login":true,`+dummy+`}`)
	first.wants(t, 200, "")
	if first.json["user_id"] != "@0:hs.example" {
		t.Errorf("got %s, want a sequential user ID", first.raw)
	}
	second.isJSON(t, `{"user_id":"@1:hs.example","home_server":"hs.example"}`)
}

func TestRegisterWithEmailStoresTheAddressInLowerCase(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, Require3PIDEmail: true})
	w.is.validated("Bob@Example.org")
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	got := w.post("/register", "", `{"auth":`+emailAuth(id)+`}`) // params of the first round
	got.wants(t, 200, "")
	if emails := w.hs.Emails("bob"); !reflect.DeepEqual(emails, []string{"bob@example.org"}) {
		t.Errorf("got %v, want the address in lower case", emails)
	}
	if call := w.is.calls(checkPath); len(call) != 1 || call[0].query != "sid=S1&client_secret=C1" || call[0].method != "GET" {
		t.Errorf("got %+v, want one GET with sid and client_secret", call)
	}
	if n := len(w.is.calls(bindPath)); n != 0 {
		t.Errorf("got %d binds, want none unasked", n)
	}
}

func TestRegisterInUseCheckIsCaseSensitiveAndTheAddressThenMoves(t *testing.T) {
	w := newWorld(t, open)
	w.hs.AddUser("victim", "pw", "victim@x.example")
	w.is.validated("victim@x.example")
	body := `{"username":"eve","password":"pw","auth":` + emailAuth("") + `}`
	w.post("/register", "", body).wants(t, 400, "M_THREEPID_IN_USE")
	w.is.validated("Victim@x.example")
	w.post("/register", "", body).wants(t, 200, "")
	if got := w.hs.Emails("victim"); len(got) != 0 {
		t.Errorf("victim: got %v, want the address moved away", got)
	}
	if got := w.hs.Emails("eve"); !reflect.DeepEqual(got, []string{"victim@x.example"}) {
		t.Errorf("eve: got %v, want the victim's address", got)
	}
}

func TestRegisterAppliesAllowedAddressesAgain(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, AllowedLocal3PIDs: []string{`.*@ok\.example$`}})
	w.is.validated("bob@bad.example")
	w.post("/register", "", `{"username":"bob","password":"pw","auth":`+emailAuth("")+`}`).wants(t, 403, "M_THREEPID_DENIED")
	w.is.answer(checkPath, 200, `{"medium":"msisdn","address":"4477","validated_at":1}`)
	phone := strings.Replace(emailAuth(""), "email.identity", "msisdn", 1)
	w.post("/register", "", `{"username":"bob","password":"pw","auth":`+phone+`}`).wants(t, 403, "M_THREEPID_DENIED")
	if w.hs.HasUser("bob") {
		t.Error("got an account, want none")
	}
}

func TestRegisterDropsAnAddressWithoutValidatedAt(t *testing.T) {
	w := newWorld(t, open)
	w.is.answer(checkPath, 200, `{"medium":"email","address":"b@example.org"}`)
	w.post("/register", "", `{"username":"bob","password":"pw","auth":`+emailAuth("")+`}`).wants(t, 200, "")
	if got := w.hs.Emails("bob"); len(got) != 0 {
		t.Errorf("got %v, want no address", got)
	}
}

func TestRegisterBindsWhenAsked(t *testing.T) {
	w := newWorld(t, open)
	w.is.validated("new@example.org")
	// Any non-empty value asks for it, "false" too.
	w.post("/register", "", `{"username":"bob","password":"pw","bind_email":"false","auth":`+emailAuth("")+`}`).wants(t, 200, "")
	calls := w.is.calls(bindPath)
	want := `{"client_secret":"C1","mxid":"@bob:hs.example","sid":"S1"}`
	if len(calls) != 1 || calls[0].body != want {
		t.Fatalf("got %+v, want one bind with %s", calls, want)
	}
	if got := w.hs.BoundAt("bob", "new@example.org"); !reflect.DeepEqual(got, []string{w.is.name}) {
		t.Errorf("got bound at %v, want %s", got, w.is.name)
	}

	w.is.answer(bindPath, 404, "Not Found")
	w.is.validated("other@example.org")
	w.post("/register", "", `{"username":"joe","password":"pw","bind_email":true,"auth":`+emailAuth("")+`}`).wants(t, 500, "M_UNKNOWN")
	if !w.hs.HasUser("joe") || len(w.hs.Emails("joe")) != 1 {
		t.Error("got no account joe with an address, want it made before the bind failed")
	}
}

func TestRegisterTwiceInOneSessionIsTheSameUser(t *testing.T) {
	w := newWorld(t, open)
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	auth := `"auth":{"type":"m.login.dummy","session":"` + id + `"}`
	w.post("/register", "", `{`+auth+`}`).wants(t, 200, "")
	again := w.post("/register", "", `{"username":"bob","password":"pw",`+auth+`}`)
	again.wants(t, 200, "")
	if again.json["user_id"] != "@bob:hs.example" {
		t.Errorf("got %s, want @bob again", again.raw)
	}
	w.post("/register", "", `{"username":"joe","password":"pw",`+auth+`}`).wants(t, 400, "M_UNKNOWN")
}

func TestRegisterAvailable(t *testing.T) {
	w := newWorld(t, open)
	w.hs.AddUser("alice", "pw")
	for query, want := range map[string]int{"?username=bob": 200, "?username=alice": 400, "": 400, "?username=": 400} {
		if got := w.do("GET", r0+"/register/available"+query, "", ""); got.status != want {
			t.Errorf("%q: got %d %s, want %d", query, got.status, got.raw, want)
		}
	}
}
