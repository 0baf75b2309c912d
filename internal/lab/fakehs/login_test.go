// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

func TestLogin(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw", "Alice@example.org")
	w.do("GET", r0+"/login", "", "").isJSON(t, `{"flows":[{"type":"m.login.password"}]}`)
	const password = `{"type":"m.login.password","password":"pw",`
	for _, tc := range []struct {
		name, body string
		status     int
		errcode    string
	}{
		{"user", password + `"user":"alice"}`, 200, ""},
		{"user ID", password + `"user":"@alice:hs.example"}`, 200, ""},
		{"any case", password + `"user":"ALICE"}`, 200, ""},
		{"identifier", password + `"identifier":{"type":"m.id.user","user":"alice"}}`, 200, ""},
		{"address", password + `"identifier":{"type":"m.id.thirdparty","medium":"email","address":"alice@EXAMPLE.org"}}`, 200, ""},
		{"address, old style", password + `"medium":"email","address":"alice@example.org"}`, 200, ""},
		{"wrong password", `{"type":"m.login.password","password":"no","user":"alice"}`, 403, "M_FORBIDDEN"},
		{"nobody", password + `"user":"bob"}`, 403, "M_FORBIDDEN"},
		{"another server's user", password + `"user":"@alice:other.example"}`, 403, "M_FORBIDDEN"},
		{"unknown address", password + `"medium":"email","address":"b@example.org"}`, 403, "M_FORBIDDEN"},
		{"another medium", password + `"medium":"msisdn","address":"alice@example.org"}`, 403, "M_FORBIDDEN"},
		{"half an address", password + `"identifier":{"type":"m.id.thirdparty","medium":"email"}}`, 400, "M_UNKNOWN"},
		{"address that is a number", password + `"medium":"email","address":1}`, 500, "M_UNKNOWN"},
		{"address, no password", `{"type":"m.login.password","medium":"email","address":"a@b.c"}`, 400, "M_UNKNOWN"},
		{"no password", `{"type":"m.login.password","user":"alice"}`, 400, "M_UNKNOWN"},
		{"no type", `{"user":"alice","password":"pw"}`, 400, "M_UNKNOWN"},
		{"another type", `{"type":"m.login.x","user":"alice"}`, 400, "M_UNKNOWN"},
		{"token", `{"type":"m.login.token","token":"x"}`, 403, "M_FORBIDDEN"},
		{"no token", `{"type":"m.login.token"}`, 400, "M_UNKNOWN"},
		{"no identifier", password + `"x":1}`, 400, "M_UNKNOWN"},
		{"identifier without type", password + `"identifier":{}}`, 400, "M_UNKNOWN"},
		{"identifier of another type", password + `"identifier":{"type":"m.id.x"}}`, 400, "M_UNKNOWN"},
		{"identifier without user", password + `"identifier":{"type":"m.id.user"}}`, 400, "M_UNKNOWN"},
		{"identifier that is a string", password + `"identifier":"alice"}`, 400, "M_UNKNOWN"},
		{"identifier that is a string with a type", password + `"identifier":"type"}`, 500, "M_UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := w.post("/login", "", tc.body)
			got.wants(t, tc.status, tc.errcode)
			if tc.status == 200 && (got.json["user_id"] != "@alice:hs.example" || got.json["home_server"] != "hs.example") {
				t.Errorf("got %s, want alice", got.raw)
			}
		})
	}
}

func TestAccessTokens(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	token := w.token("alice", "pw")
	for _, tc := range []struct {
		name, query string
		headers     []string
		status      int
		errcode     string
	}{
		{"header", "", []string{"Bearer " + token}, 200, ""},
		{"query", "?access_token=" + token, nil, 200, ""},
		{"none", "", nil, 401, "M_MISSING_TOKEN"},
		{"both", "?access_token=" + token, []string{"Bearer " + token}, 401, "M_MISSING_TOKEN"},
		{"two headers", "", []string{"Bearer " + token, "Bearer " + token}, 401, "M_MISSING_TOKEN"},
		{"another scheme", "", []string{"Basic " + token}, 401, "M_MISSING_TOKEN"},
		{"lower case", "", []string{"bearer " + token}, 401, "M_MISSING_TOKEN"},
		{"unknown", "", []string{"Bearer x"}, 401, "M_UNKNOWN_TOKEN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequest("GET", w.url+r0+"/account/whoami"+tc.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = tc.headers
			w.send(req).wants(t, tc.status, tc.errcode)
		})
	}
	w.do("GET", r0+"/account/whoami", "x", "").isJSON(t,
		`{"errcode":"M_UNKNOWN_TOKEN","error":"Unrecognised access token","soft_logout":false}`)
}

func TestLogoutEndsTheDeviceAndLogoutAllEverything(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	w.hs.AddUser("bob", "pw")
	onDevice := func() string {
		got := w.post("/login", "", `{"type":"m.login.password","user":"alice","password":"pw","device_id":"D"}`)
		return got.json["access_token"].(string)
	}
	first, second, other, bob := onDevice(), onDevice(), w.token("alice", "pw"), w.token("bob", "pw")
	alive := func(token string) bool { return w.do("GET", r0+"/account/whoami", token, "").status == 200 }

	w.post("/logout", first, "{}").isJSON(t, "{}")
	if alive(first) || alive(second) || !alive(other) {
		t.Errorf("got %v %v %v alive, want only the other device", alive(first), alive(second), alive(other))
	}
	w.post("/logout/all", other, "{}").isJSON(t, "{}")
	if alive(other) || !alive(bob) {
		t.Errorf("got %v %v alive, want only bob", alive(other), alive(bob))
	}
	w.post("/logout", other, "{}").wants(t, 401, "M_UNKNOWN_TOKEN")
	w.post("/logout/all", "", "{}").wants(t, 401, "M_MISSING_TOKEN")
}

func TestRoomsTakeABodyAsItIs(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "pw")
	token := w.token("alice", "pw")
	w.hs.ResetRecordings()
	body := "{ \"invite_3pid\" : [{\"medium\":\"email\",\"address\":\"x@y.z\",\"id_server\":\"vector.im\"}] }\n"
	room := w.post("/createRoom", token, body)
	room.wants(t, 200, "")
	id, _ := room.json["room_id"].(string)
	if got := w.hs.Requests(); len(got) != 1 || string(got[0].Body) != body {
		t.Errorf("got %+v, want the body as it was sent", got)
	}
	invite := "/rooms/" + id + "/invite"
	w.post(invite, token, `{"medium":"email","address":"x@y.z","id_server":"vector.im"}`).isJSON(t, "{}")
	w.post(invite, token, `{"user_id":"@bob:hs.example"}`).isJSON(t, "{}")
	w.post(invite, token, `not JSON`).wants(t, 400, "M_MISSING_PARAM")
	w.post(invite, "", `{}`).wants(t, 401, "M_MISSING_TOKEN")
	w.post("/createRoom", "", `not JSON`).wants(t, 401, "M_MISSING_TOKEN")
	w.post("/createRoom", token, `not JSON`).wants(t, 400, "M_NOT_JSON")
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls to an identity server, want none", n)
	}
}
