// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

const add = `{"three_pid_creds":` + credsJSON + `}`

func TestAddThreepid(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	token := w.token("alice", "pw")
	for _, tc := range []struct {
		name    string
		answer  answer // of getValidated3pid
		token   string
		body    string
		status  int
		errcode string
	}{
		{"no creds come before no token", answer{}, "", `{}`, 400, "M_MISSING_PARAM"},
		{"creds are null", answer{}, token, `{"three_pid_creds":null}`, 400, "M_MISSING_PARAM"},
		{"no token", answer{}, "", add, 401, "M_MISSING_TOKEN"},
		{"unknown token", answer{}, "x", add, 401, "M_UNKNOWN_TOKEN"},
		{"no id_server", answer{}, token, `{"three_pid_creds":{"sid":"S1","client_secret":"C1"}}`, 400, "M_UNKNOWN"},
		{"untrusted", answer{}, token, strings.ReplaceAll(add, "$IS", "vector.im"), 400, "M_THREEPID_AUTH_FAILED"},
		{"not validated, the old way", answer{200, `{"errcode":"M_SESSION_NOT_VALIDATED"}`}, token, add, 400, "M_THREEPID_AUTH_FAILED"},
		{"not validated, the new way", answer{400, `{"errcode":"M_SESSION_NOT_VALIDATED"}`}, token, add, 400, "M_SESSION_NOT_VALIDATED"},
		{"unknown session", answer{404, `{"errcode":"M_NO_VALID_SESSION"}`}, token, add, 404, "M_NO_VALID_SESSION"},
		{"no validated_at", answer{200, `{"medium":"email","address":"a@b.c"}`}, token, add, 500, "M_UNKNOWN"},
		{"address of another type", answer{200, `{"medium":"email","address":1,"validated_at":1}`}, token, add, 500, "M_UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.is.answer(checkPath, tc.answer.status, tc.answer.body)
			w.post("/account/3pid", tc.token, tc.body).wants(t, tc.status, tc.errcode)
			if got := w.hs.Emails("alice"); len(got) != 0 {
				t.Errorf("got %v stored, want nothing", got)
			}
		})
	}
}

func TestAddThreepidReadsBothSpellingsSnakeCaseFirst(t *testing.T) {
	for name, body := range map[string]string{
		"snake case": add,
		"camel case": `{"threePidCreds":` + credsJSON + `}`,
		"both":       `{"threePidCreds":{"id_server":"vector.im"},"three_pid_creds":` + credsJSON + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fakehs.Options{})
			w.hs.AddUser("alice", "pw")
			w.is.validated("New@Example.org")
			w.post("/account/3pid", w.token("alice", "pw"), body).isJSON(t, "{}")
			if got := w.hs.Emails("alice"); !reflect.DeepEqual(got, []string{"new@example.org"}) {
				t.Errorf("got %v, want the address in lower case", got)
			}
			if n := len(w.is.calls(bindPath)); n != 0 {
				t.Errorf("got %d binds, want none unasked", n)
			}
		})
	}
}

func TestAddThreepidMovesTheAddressOfAnotherUser(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("victim", "pw", "victim@x.example")
	w.hs.AddUser("eve", "pw", "eve@x.example")
	w.is.validated("victim@x.example")
	w.post("/account/3pid", w.token("eve", "pw"), add).wants(t, 200, "")
	if got := w.hs.Emails("victim"); len(got) != 0 {
		t.Errorf("victim: got %v, want nothing left", got)
	}
	if got, want := w.hs.Emails("eve"), []string{"victim@x.example", "eve@x.example"}; !reflect.DeepEqual(got, want) {
		t.Errorf("eve: got %v, want %v", got, want)
	}
}

func TestGetThreepids(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	token := w.token("alice", "pw")
	w.do("GET", r0+"/account/3pid", token, "").isJSON(t, `{"threepids":[]}`)
	w.is.validated("a@example.org")
	w.post("/account/3pid", token, add).wants(t, 200, "")
	list := w.do("GET", r0+"/account/3pid", token, "").json["threepids"].([]any)
	row := list[0].(map[string]any)
	if len(list) != 1 || row["medium"] != "email" || row["address"] != "a@example.org" || row["validated_at"] != 1.7e12 {
		t.Errorf("got %v, want the one address with the server's validated_at", list)
	}
	if at, _ := row["added_at"].(float64); at < 1.7e12 {
		t.Errorf("got added_at %v, want now in milliseconds", row["added_at"])
	}
	w.do("GET", r0+"/account/3pid", "", "").wants(t, 401, "M_MISSING_TOKEN")
}

func TestAddThreepidBindsWhereverTheCredsSayAfterStoring(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer answer
		status int
	}{
		{"bound", answer{200, `{"medium":"email","address":"new@example.org"}`}, 200},
		{"refused", answer{400, `{"errcode":"M_X","error":"no"}`}, 500},
		{"not found", answer{404, "Not Found"}, 500},
		{"2xx that is no binding", answer{200, `{}`}, 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, fakehs.Options{})
			w.hs.AddUser("alice", "pw")
			w.is.validated("new@example.org")
			w.is.answer(bindPath, tc.answer.status, tc.answer.body)
			got := w.post("/account/3pid", w.token("alice", "pw"), `{"bind":true,"three_pid_creds":`+credsJSON+`}`)
			if got.status != tc.status {
				t.Errorf("got %d %s, want %d", got.status, got.raw, tc.status)
			}
			if emails := w.hs.Emails("alice"); len(emails) != 1 {
				t.Errorf("got %v, want the address stored whatever came of the bind", emails)
			}
			if bound := len(w.hs.BoundAt("alice", "new@example.org")) == 1; bound != (tc.status == 200) {
				t.Errorf("got bound %v after %d", bound, tc.status)
			}
		})
	}
}

func TestDeleteThreepidUnbindsWhereItWasBound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bind   bool
		naming bool // the client names an id_server
		unbind int
		status int
		result string
	}{
		{"never bound", false, false, 200, 200, "no-support"},
		{"bound", true, false, 200, 200, "success"},
		{"never bound, but named", false, true, 200, 200, "success"},
		{"no unbinding there", true, false, 404, 200, "no-support"},
		{"not implemented there", true, false, 501, 200, "no-support"},
		{"broken there", true, false, 500, 500, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, fakehs.Options{})
			w.hs.AddUser("alice", "pw")
			token := w.token("alice", "pw")
			w.is.validated("new@example.org")
			w.is.answer(unbind, tc.unbind, `{}`)
			bind := "false"
			if tc.bind {
				bind = "true"
			}
			w.post("/account/3pid", token, `{"bind":`+bind+`,"three_pid_creds":`+credsJSON+`}`).wants(t, 200, "")
			body := `{"medium":"email","address":"NEW@example.org"`
			if tc.naming {
				body += `,"id_server":"$IS"`
			}
			got := w.post("/account/3pid/delete", token, body+"}")
			result, _ := got.json["id_server_unbind_result"].(string)
			if got.status != tc.status || result != tc.result {
				t.Errorf("got %d %s, want %d %q", got.status, got.raw, tc.status, tc.result)
			}
			if left := len(w.hs.Emails("alice")); (left == 1) != (tc.status == 500) {
				t.Errorf("got %d addresses left after %d", left, tc.status)
			}
		})
	}
}

func TestUnbindIsSignedLikeAFederationRequest(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw", "a@example.org")
	w.post("/account/3pid/delete", w.token("alice", "pw"),
		`{"medium":"email","address":"a@example.org","id_server":"$IS"}`).wants(t, 200, "")
	call := w.is.calls(unbind)[0]
	if want := `{"mxid":"@alice:hs.example","threepid":{"address":"a@example.org","medium":"email"}}`; call.body != want {
		t.Errorf("got %s, want %s", call.body, want)
	}
	if got := call.header.Get("Authorization"); !strings.HasPrefix(got, `X-Matrix origin=hs.example,key="ed25519:fake",sig="`) {
		t.Errorf("got Authorization %q, want an X-Matrix signature", got)
	}
	w.post("/account/3pid/delete", "", `{"medium":"email","address":"a"}`).wants(t, 401, "M_MISSING_TOKEN")
	w.post("/account/3pid/delete", "", `{"medium":"email"}`).wants(t, 400, "M_MISSING_PARAM")
}
