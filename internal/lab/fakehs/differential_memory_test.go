// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// memory is random conversations. In status, error, completed stages and in which
// session an answer belongs to the two must agree.
func (p *pair) memory() {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for n := range *sequences {
		p.sequence(n, seed+uint64(n))
		if p.t.Failed() {
			return
		}
	}
	p.t.Logf("%d sequences, %d calls", *sequences, p.calls)
}

func (p *pair) sequence(n int, seed uint64) {
	p.t.Helper()
	c := &talk{pair: p, rand: rand.New(rand.NewPCG(seed, 0)), tokens: [2]map[string]string{{}, {}}}
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		c.users = append(c.users, fmt.Sprintf("%s%d", name, n))
	}
	for _, name := range c.users[:2] {
		c.account(name)
	}
	for range 20 + c.rand.IntN(40) {
		c.step()
		if p.t.Failed() {
			p.t.Logf("seed %d:\n%s", seed, strings.Join(c.said, "\n"))
			return
		}
	}
}

func pick[T any](c *talk, from ...T) T { return from[c.rand.IntN(len(from))] }

// step makes one call and compares.
func (c *talk) step() {
	c.t.Helper()
	call := c.next()
	got := c.both(call)
	c.calls++
	side := func(i int) string {
		body := ""
		if call.body != nil {
			body = call.body(i)
		}
		return fmt.Sprintf("%s %s as %q: %s -> %d %.300s", call.method, call.path, call.user, body, got[i].status, got[i].raw)
	}
	c.said = append(c.said, side(0), side(1))
	if want, is := told(got[0]), told(got[1]); !reflect.DeepEqual(is, want) {
		c.t.Errorf("got %v of the double, want %v", is, want)
	}
	names := [2]string{}
	for i := range got {
		names[i], _ = got[i].json["session"].(string)
	}
	if names == [2]string{} {
		return
	}
	for i, known := range c.sessions {
		if (known[0] == names[0]) != (known[1] == names[1]) {
			c.t.Errorf("one of them went on with session %d, the other did not", i)
		}
		if known == names {
			return
		}
	}
	c.sessions = append(c.sessions, names)
}

// told is what must agree. A token and the names of devices are of chance, words of
// no interest.
func told(r reply) map[string]any {
	out := map[string]any{"status": r.status}
	for _, key := range []string{"errcode", "completed", "flows", "user_id"} {
		if value, ok := r.json[key]; ok {
			out[key] = value
		}
	}
	_, out["session"] = r.json["session"]
	if r.json == nil {
		out["page"] = strings.Contains(r.raw, "<form")
	}
	return out
}

// next makes a call up: an endpoint, somebody's token, a session and a stage.
func (c *talk) next() call {
	version := pick(c, "r0", "unstable")
	base := "/_matrix/client/" + version
	if c.rand.IntN(12) == 0 {
		return c.fallback(base)
	}
	made := call{method: "POST", user: c.users[c.rand.IntN(2)]}
	var params map[string]any
	switch c.rand.IntN(10) {
	case 0, 1, 2:
		made.path, made.user = base+"/register", ""
		params = map[string]any{"username": c.users[1+c.rand.IntN(3)], "password": pick(c, "pw0", "pw1"), "inhibit_login": true}
	case 3, 4, 5:
		made.path, made.user = base+"/account/password", pick(c, "", "", made.user)
		params = map[string]any{"new_password": pick(c, "pw0", "pw1")}
	case 6:
		made.path = base + "/account/deactivate"
		params = map[string]any{"erase": false}
	case 7:
		made.method, made.path = "DELETE", base+"/devices/none"
		params = map[string]any{"x": 1}
	default:
		made.path = base + pick(c, "/delete_devices", "/delete_devices", "/delete_devicesfoo")
		params = map[string]any{"devices": []string{"none"}}
	}
	if c.rand.IntN(4) == 0 {
		params = pick(c, map[string]any{}, map[string]any{"other": true})
	}
	session, auth := c.session(), c.auth()
	made.body = func(side int) string {
		whole := maps.Clone(params)
		if auth != nil {
			with := maps.Clone(auth)
			if session != nil {
				with["session"] = session[side]
			}
			whole["auth"] = with
		}
		raw, _ := json.Marshal(whole)
		return string(raw)
	}
	return made
}

// session is the name of a session on both sides, or nil for none.
func (c *talk) session() *[2]any {
	if len(c.sessions) > 0 && c.rand.IntN(10) < 6 {
		known := c.sessions[c.rand.IntN(len(c.sessions))]
		return &[2]any{known[0], known[1]}
	}
	return pick[*[2]any](c, nil, nil, &[2]any{"bogus", "bogus"}, &[2]any{"", ""}, &[2]any{nil, nil}, &[2]any{7, 7})
}

// auth is an auth dict without its session, or nil for none.
func (c *talk) auth() map[string]any {
	user := c.users[c.rand.IntN(len(c.users))]
	creds := func(sid string) map[string]any {
		return map[string]any{"sid": sid, "client_secret": "s", "id_server": c.is.Name()}
	}
	switch stage := c.rand.IntN(16); stage {
	case 0:
		return nil
	case 1:
		return map[string]any{}
	case 2, 3, 4, 5:
		return map[string]any{"type": "m.login.email.identity", "threepid_creds": creds("email " + email(user))}
	case 6:
		return map[string]any{"type": "m.login.msisdn", "threepid_creds": creds(pick(c, "msisdn 4912345", "email "+email(user)))}
	case 7:
		with := creds(pick(c, "", "msisdn 4912345"))
		with[pick(c, "sid", "client_secret")] = pick[any](c, "", nil, 7, true, []string{}, []string{"email " + email(user)}, map[string]any{"x": 1})
		if c.rand.IntN(5) == 0 {
			delete(with, pick(c, "sid", "client_secret", "id_server"))
		}
		return map[string]any{"type": "m.login.email.identity", "threepid_creds": with}
	case 8:
		return map[string]any{"type": "m.login.email.identity", pick(c, "x", "threepidCreds"): creds("email " + email(user))}
	case 9:
		return map[string]any{"type": pick(c, "m.login.dummy", "m.login.terms", "m.login.unheard.of")}
	case 10, 11:
		if !c.captcha {
			break // the real one would ask the service of the open internet
		}
		return map[string]any{"type": "m.login.recaptcha", pick(c, "response", "response", "x"): pick(c, "solved", "solved", "no")}
	case 12, 13:
		return map[string]any{"type": "m.login.password", "user": user, "password": pick(c, "pw0", "pw1")}
	}
	return map[string]any{pick(c, "session", "x"): "bogus"} // no type: a poll, unless next puts a name in it
}

// fallback is a page of a stage, which knows a session at no endpoint at all.
func (c *talk) fallback(base string) call {
	session := pick(c, &[2]any{"bogus", "bogus"}, &[2]any{"", ""})
	if len(c.sessions) > 0 {
		known := c.sessions[c.rand.IntN(len(c.sessions))]
		session = &[2]any{known[0], known[1]}
	}
	stage := pick(c, "m.login.recaptcha", "m.login.recaptcha", "m.login.terms", "m.login.email.identity")
	values := func(side int) string { return url.Values{"session": {fmt.Sprint(session[side])}}.Encode() }
	made := call{method: "GET", path: base + "/auth/" + stage + "/fallback/web" + pick(c, "", "", "more"), query: values}
	if c.captcha && stage == "m.login.recaptcha" && c.rand.IntN(2) == 0 {
		response := pick(c, "solved", "no", "")
		made.method, made.form, made.query = "POST", true, nil
		made.body = func(side int) string { return values(side) + "&g-recaptcha-response=" + response }
	}
	return made
}
