// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// doors are the endpoints that have to do with addresses, with a body that they take.
var doors = []deed{
	{"", "POST /register/email/requestToken", probeNew},
	{"", "POST /account/3pid/email/requestToken", probeHad},
	{"", "POST /account/password/email/requestToken", probeHad},
	{"", "POST /register/msisdn/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","country":"GB","phone_number":"01632960009"}`},
	{"", "POST /account/password/msisdn/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","country":"GB","phone_number":"01632960009"}`},
	{"", login, byPass + `"user":"$A","device_id":"D"}`},
	{"", login, byPass + `"medium":"email","address":"$A@example.org"}`},
	{"", login, byPass + `"identifier":{"type":"m.id.thirdparty","medium":"email","address":"$A@example.org"}}`},
	{"", login, byPass + `"identifier":{"type":"m.id.phone","country":"GB","number":"01632960009"}}`},
	{"$A", addPath, `{"bind":false,"three_pid_creds":{{email x$A@example.org}}}`},
	{"$A", delPath, `{"medium":"email","address":"x$A@example.org","id_server":""}`},
	{"", regPath, `{"username":"$A","password":"pw0"}`},
	{"", regPath, `{"username":"$N","password":"pw0","bind_email":false,"inhibit_login":true,"device_id":"D","auth":{"session":"","type":"m.login.email.identity","threepid_creds":{{email $N@example.org}}}}`},
	{"", passPath, `{"new_password":"pw0","auth":{"session":"","type":"m.login.email.identity","threepid_creds":{{email $A@example.org}}}}`},
	{"$B", passPath, `{"new_password":"pw0","auth":{"session":"","type":"m.login.password","user":"$B","password":"pw0"}}`},
	{"$B", "POST /delete_devices", `{"devices":["none"],"auth":{"session":"","type":"m.login.password","user":"$B","password":"pw0"}}`},
	{"$B", "DELETE /devices/none", `{"auth":{"session":"","type":"m.login.password","user":"$B","password":"pw0"}}`},
	{"$B", closePath, `{"erase":false,"id_server":"","auth":{"session":"","type":"m.login.password","user":"$B","password":"wrong"}}`},
	{"$B", "POST /logout", `{}`},
}

// places calls every door with every method, and below every version of the API.
func (p *pair) places() {
	c := p.conversation("p")
	for _, door := range doors {
		method, tail, _ := strings.Cut(door.what, " ")
		for _, other := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if other == method || !strings.HasPrefix(tail, "/devices/") { // reading and naming them is left out
				c.compare(deed{"", other + " " + tail, "{}"})
			}
		}
		for _, version := range []string{"unstable", "api/v1", "v2_alpha", "v3", "v1", "r1", "R0", "r0/", "%720"} {
			c.compare(deed{"", method + " /_matrix/client/" + version + tail, "{}"})
		}
		for _, odd := range []string{"/", "//", "x", "%20", "/..", ";a", "%2F"} {
			c.compare(deed{"", method + " " + tail + odd, "{}"})
		}
	}
	c.compareState()
}

// mangled sends to every door its body with each member left out, and of every other
// type, and what is no object at all.
func (p *pair) mangled() {
	for i, door := range doors {
		p.t.Run(fmt.Sprint(i, " ", door.what), func(t *testing.T) {
			c := p.in(t).conversation(fmt.Sprint("m", i))
			body := credsOf.ReplaceAllString(door.body, `{"sid":"$1","client_secret":"s","id_server":"$$IS"}`)
			for _, text := range slices.Concat(mangles(t, body), []string{
				"", " ", "{", "[]", "null", `"x"`, "7", "{} {}", "{'a':1}", `{"a":1,}`, "{\"a\":\"\xff\"}", "\ufeff{}", `{"a":NaN}`, body + "x", body,
			}) {
				c.compare(deed{door.as, door.what, text})
			}
			c.compareState()
		})
	}
}

// mangles are a body with one member of it left out or changed.
func mangles(t *testing.T, body string) (out []string) {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal([]byte(body), &whole); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var walk func(part map[string]any)
	walk = func(part map[string]any) {
		say := func() {
			text, _ := json.Marshal(whole)
			out = append(out, string(text))
		}
		for _, key := range slices.Sorted(maps.Keys(part)) {
			value := part[key]
			for _, other := range []any{nil, "", "x", 7, []any{}, []any{"x"}, map[string]any{"x": 1}} {
				part[key] = other
				say()
			}
			delete(part, key)
			say()
			part[key] = value
			if inner, ok := value.(map[string]any); ok {
				walk(inner)
			}
		}
	}
	walk(whole)
	return out
}
