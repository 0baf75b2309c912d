// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"

	"pgregory.net/rapid"
)

// endpoint is a place where a session of interactive authentication can be named.
type endpoint struct {
	name, method, tail string
	// token says whose access token comes with it: "always", "never" or "maybe".
	token string
	// versions that are spoken there, where it is not any.
	versions []string
	params   func(w *world) map[string]any
}

// place is where the names belong that are rightly said there: a page is a part of
// a registration.
func (e endpoint) place() string {
	if strings.HasPrefix(e.name, "fallback") {
		return "register"
	}
	return e.name
}

func noParams(*world) map[string]any { return map[string]any{} }

// endpoints are those of the specification and of Synapse that have interactive
// authentication or take a proof, and the pages of its stages.
var endpoints = []endpoint{
	{name: "register", method: "POST", tail: "/register", token: "never", params: func(w *world) map[string]any {
		return map[string]any{"username": w.fresh("thief"), "password": thief}
	}},
	{name: "password", method: "POST", tail: "/account/password", token: "maybe", params: func(*world) map[string]any {
		return map[string]any{"new_password": thief}
	}},
	{name: "3pid", method: "POST", tail: "/account/3pid", token: "always", params: noParams},
	{name: "3pid/add", method: "POST", tail: "/account/3pid/add", token: "always", params: noParams},
	{name: "deactivate", method: "POST", tail: "/account/deactivate", token: "always", params: noParams},
	{name: "delete_devices", method: "POST", tail: "/delete_devices", token: "always", params: devices},
	{name: "delete_devices…", method: "POST", tail: "/delete_devices/", token: "always", params: devices},
	{name: "devices", method: "DELETE", tail: "/devices/none", token: "always", params: noParams},
	{name: "device_signing", method: "POST", tail: "/keys/device_signing/upload", token: "always", params: noParams},
	{name: "get_token", method: "POST", tail: "/login/get_token", token: "always", versions: []string{"v1"}, params: noParams},
	{name: "login/token", method: "POST", tail: "/org.matrix.msc3882/login/token", token: "always", versions: []string{"unstable"}, params: noParams},
	{name: "fallback page", method: "GET", tail: "/auth/$STAGE/fallback/web", token: "never", params: noParams},
	{name: "fallback form", method: "POST", tail: "/auth/$STAGE/fallback/web", token: "never", params: noParams},
}

func devices(*world) map[string]any { return map[string]any{"devices": []string{"none"}} }

// thief is the password that the attacker sets wherever they can.
const thief = "the thief's"

// call is one request of the attacker's, of everything that can be combined.
func (w *world) call(*rapid.T) {
	e := pick(w, "endpoint", endpoints...)
	r := request{method: e.method, node: w.node(), around: !w.s.setup.TrustsAnybody && w.often("around", 5)}
	r.target = w.prefix(e) + e.tail
	if e.token == "always" || (e.token == "maybe" && w.often("token", 4)) {
		r.token = pick(w, "account", w.accounts...).token
	}
	session, naming := w.session(e)
	if strings.HasPrefix(e.name, "fallback") {
		w.fallback(&r, session)
	} else {
		w.body(&r, e, session)
	}
	w.counts.call(e.name, naming, r.around)
	w.tell("session: %s", naming)
	w.deliver(e, r)
}

// deliver sends what the attacker has made up, learns from the answer, and has it
// judged.
func (w *world) deliver(e endpoint, r request) answer {
	w.tell("the attacker: %s", r)
	if w.s.double != nil {
		w.s.double.ResetRecordings()
	}
	got := w.s.send(r)
	w.tell("  -> %d %.300s", got.status, got.body)
	w.learn(e, r, got)
	w.judge.attackerDid(w, r, got)
	return got
}

// prefix is what comes before the tail of a path. Most of the time it is one that
// the homeserver knows.
func (w *world) prefix(e endpoint) string {
	versions := e.versions
	switch {
	case versions != nil:
	case w.s.setup.Later:
		versions = []string{"r0", "v3", "unstable"}
	default:
		versions = []string{"r0", "r0", "unstable"}
	}
	if e.versions == nil && w.often("odd version", 8) {
		versions = []string{"v3", "api/v1", "r1"}
	}
	if w.often("old prefix", 8) {
		return "/chat/client/" + pick(w, "version", versions...)
	}
	return "/_matrix/client/" + pick(w, "version", versions...)
}

func (r request) String() string {
	way := ""
	if r.around {
		way = ", past us"
	}
	if len(r.body) > 1000 {
		return fmt.Sprintf("%s %s%s %.1000s… (%d bytes)", r.method, r.target, way, r.body, len(r.body))
	}
	return fmt.Sprintf("%s %s%s %s", r.method, r.target, way, r.body)
}

// body makes the JSON object of a call.
func (w *world) body(r *request, e endpoint, session any) {
	form := "plain"
	if w.often("odd form", 3) {
		form = pick(w, "form", "only auth", "only auth", "both spellings", "old spelling",
			"array", "escaped", "twice", "form", "padded", "outside", "query token")
	}
	whole := map[string]any{}
	if form != "only auth" {
		whole = e.params(w)
	}
	creds := w.creds()
	switch e.name {
	case "3pid":
		whole["three_pid_creds"] = creds
	case "3pid/add":
		maps.Copy(whole, creds)
	}
	auth := w.auth(session)
	if _, given := auth["threepid_creds"]; given {
		switch form {
		case "both spellings":
			auth["threepidCreds"] = pick(w, "other creds", auth["threepid_creds"], any(w.creds()))
		case "old spelling":
			auth["threepidCreds"] = auth["threepid_creds"]
			delete(auth, "threepid_creds")
		case "array":
			auth["threepid_creds"] = []any{auth["threepid_creds"]}
		}
	}
	if auth != nil {
		whole["auth"] = auth
	}
	if form == "outside" && session != nil {
		whole["session"] = session
	}
	raw, _ := json.Marshal(whole) // of strings and numbers
	r.body = string(raw)
	w.disguise(r, form)
}

// disguise writes the same so that two readers may read it in two ways.
func (w *world) disguise(r *request, form string) {
	switch form {
	case "escaped":
		r.body = strings.NewReplacer(`"auth"`, `"\u0061uth"`, `"session"`, `"s\u0065ssion"`, `"type"`, `"t\u0079pe"`).Replace(r.body)
	case "twice":
		r.body = strings.Replace(r.body, `"session":`, `"session":"invented","session":`, 1)
	case "form":
		r.form = true
	case "padded":
		r.body += strings.Repeat(" ", 70<<10)
	case "query token":
		if r.token != "" {
			r.target += "?access_token=" + url.QueryEscape(r.token)
			r.token = ""
		}
	}
}

// auth makes an auth dict, or none.
func (w *world) auth(session any) map[string]any {
	auth := map[string]any{}
	if session != nil {
		auth["session"] = session
	}
	switch kind := pick(w, "stage", "email", "alone", "email", "alone", "email", "captcha", "password", "dummy", "terms", "phone", "unknown", "none"); kind {
	case "none":
		if session == nil {
			return nil
		}
	case "email":
		auth["type"], auth["threepid_creds"] = "m.login.email.identity", w.creds()
	case "phone":
		auth["type"], auth["threepid_creds"] = "m.login.msisdn", w.creds()
	case "dummy", "terms":
		auth["type"] = "m.login." + kind
	case "captcha":
		auth["type"], auth["response"] = "m.login.recaptcha", "solved"
	case "password":
		a := pick(w, "whose", append([]*account{w.victim}, w.accounts...)...)
		auth["type"], auth["user"], auth["password"] = "m.login.password", pick(w, "name", a.name, a.id()), thief
		if a != w.victim {
			auth["password"] = a.password
		}
	case "unknown":
		auth["type"] = "m.login.unheard.of"
	}
	return auth
}

// creds are credentials of a validation session that the attacker knows of, or
// something that looks like them.
func (w *world) creds() map[string]any {
	p := w.someProof()
	if p == nil {
		return map[string]any{"sid": "x", "client_secret": "x", "id_server": w.s.identity}
	}
	creds := map[string]any{"sid": p.sid, "client_secret": p.secret}
	if w.s.setup.TrustsAnybody || w.often("odd creds", 4) {
		w.oddCreds(p, creds)
	} else if w.often("ours", 2) {
		creds["id_server"] = w.s.identity
	}
	return creds
}

// someProof is one of the sessions that the attacker has asked for, most of the time
// one that was confirmed; the newest are the most interesting ones.
func (w *world) someProof() *proof {
	var known, confirmed []*proof
	for _, p := range w.proofs {
		if p.attackers {
			known = append(known, p)
		}
		if p.attackers && !p.confirmed.IsZero() {
			confirmed = append(confirmed, p)
		}
	}
	if len(confirmed) > 0 && !w.often("any proof", 4) {
		known = confirmed
	}
	if len(known) == 0 {
		return nil
	}
	return known[len(known)-1-min(w.index("proof", 4), len(known)-1)]
}

// oddCreds changes credentials into what two readers may read in two ways.
func (w *world) oddCreds(p *proof, creds map[string]any) {
	switch pick(w, "creds", "foreign", "ours", "wrong secret", "two servers", "old spelling") {
	case "ours":
		creds["id_server"] = w.s.identity
	case "wrong secret":
		creds["client_secret"] = p.secret + "x"
	case "foreign":
		creds["id_server"] = evilServer
		creds["sid"] = pick(w, "foreign sid", any("x"), any(""), nil, any(7), any(p.sid), any([]string{}))
		if w.often("no sid", 4) {
			delete(creds, "sid")
		}
	case "two servers":
		creds["id_server"], creds["idServer"] = evilServer, w.s.identity
		if w.often("other way round", 2) {
			creds["id_server"], creds["idServer"] = creds["idServer"], creds["id_server"]
		}
	case "old spelling":
		creds["clientSecret"], creds["idServer"] = p.secret, w.s.identity
		delete(creds, "client_secret")
	}
}

// fallback makes a request for the page of a stage.
func (w *world) fallback(r *request, session any) {
	stage := pick(w, "page", "m.login.recaptcha", "m.login.terms")
	r.target = strings.Replace(r.target, "$STAGE", stage, 1) + pick(w, "end", "", "", "x", "/")
	values := url.Values{}
	if session != nil {
		values.Set("session", fmt.Sprint(session))
	}
	if r.method == "GET" {
		r.target += "?" + values.Encode()
		return
	}
	r.form = true
	values.Set("g-recaptcha-response", "solved")
	if w.often("in the query", 3) {
		r.target += "?" + values.Encode()
		return
	}
	r.body = values.Encode()
}

var inPage = regexp.MustCompile(`name="session" value="([^"]*)"`)

// learn keeps what an answer tells: a name, and an account of the attacker's own.
func (w *world) learn(e endpoint, r request, got answer) {
	var told struct {
		Session   string   `json:"session"`
		Completed []string `json:"completed"`
		User      string   `json:"user_id"`
		Token     string   `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(got.body), &told) // a page has none of it
	if m := inPage.FindStringSubmatch(got.body); m != nil {
		told.Session = m[1]
	}
	if told.Session != "" {
		w.names = append(w.names, name{
			text: told.Session, endpoint: e.place(), around: r.around, seen: w.s.clock.Now(), proven: len(told.Completed) > 0,
		})
	}
	if told.Token != "" && told.User != w.victim.id() {
		local, _, _ := strings.Cut(strings.TrimPrefix(told.User, "@"), ":")
		w.accounts = append(w.accounts, &account{local, thief, told.Token})
	}
}
