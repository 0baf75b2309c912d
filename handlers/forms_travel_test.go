// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// traveller is Alice, or Carol who is no user yet, on a trip.
type traveller struct {
	*rig
	*trip
	token string
	name  string // of the conversation, in the client's words
	aside string // the session of an address that is added
	count int    // of conversations
	asked int    // messages
	seen  int    // of the changes to accounts
}

// travel makes every trip to every goal that a test is about.
func travel(t *testing.T, about func(j *trip) bool, test func(v *traveller)) {
	for name, to := range goals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, j := range trips(to) {
				if about(j) {
					t.Run(j.form, func(t *testing.T) { test(j.begin(t)) })
				}
			}
		})
	}
}

func anywhere(*trip) bool { return true }

// begin opens the homeserver and us, with Alice's account.
func (j *trip) begin(t *testing.T) *traveller {
	r, _ := phoneRig(t, options{
		config: func(c *Config) { c.Callback, c.Proof = j.callback, j.proof },
		hs: func(o *fakehs.Options) {
			o.Later, o.ConfirmByAddress, o.TrustedIDServers = j.later, true, append(o.TrustedIDServers, evil)
		},
	})
	r.next = inAnyVersion(r.next)
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.hs.AddThreepid("alice", "msisdn", "447400123456")
	own := *j
	v := &traveller{rig: r, trip: &own}
	if j.goal.user {
		v.token = r.login("alice", "secret")
		wantStatus(t, r.do("POST", "/_matrix/client/r0/login", `{"type":"m.login.password","user":"alice","password":"secret","device_id":"OLD"}`), http.StatusOK)
	}
	v.seen = len(r.hs.Changes())
	return v
}

// ancient is the version of before User-Interactive Authentication.
const ancient = "api/v1"

// versionOf takes apart what follows the prefix of a path.
func versionOf(below string) (version, tail string) {
	if tail, ok := strings.CutPrefix(below, ancient+"/"); ok {
		return ancient, tail
	}
	version, tail, _ = strings.Cut(below, "/")
	return version, tail
}

// inAnyVersion is a homeserver that has its endpoints under every version and prefix,
// and the registration of the oldest one.
func inAnyVersion(hs wire.Next) wire.Next {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, below, _ := strings.Cut(r.URL.Path, "/client/")
		version, tail := versionOf(below)
		if version == ancient && tail == route.TailRegister {
			raw, err := wire.ReadBody(w, r, 1<<20)
			if err != nil {
				return err
			}
			var body dict
			if err := json.Unmarshal(raw, &body); err != nil {
				return err
			}
			if auth := maps.Clone(body); body["type"] != nil {
				body["auth"] = auth
			}
			wire.SetBody(r, wire.Encoded(body))
		}
		wire.SetPath(r, "/_matrix/client/r0/"+tail)
		return hs(w, r)
	}
}

// applies reports whether the form is one that anybody acts on.
func (j *trip) applies() bool {
	return (j.read == everywhere || j.read == elsewhereOnly && !j.ours()) && j.goal.tails[j.method] != ""
}

// ours reports whether the endpoint is one of the route table.
func (j *trip) ours() bool { return j.goal.tails["PUT"] == "" }

// leads reports whether the goal can be reached: we take no phone for a confirmation
// that we ask for ourselves; and on paths that are not ours, a homeserver that reads no
// identifier gets it as it came (ADR 10).
func (j *trip) leads() bool {
	asItCame := j.goal.place == "nowhere" && !j.ours() && j.user["user"] == nil && !reflect.DeepEqual(j.user, byAddress)
	return !asItCame && (!j.goal.aside || j.later || j.medium == verification.Email)
}

// goesOn reports whether the homeserver goes on with a conversation: it is begun, and
// it is not that of a reset by phone, see dropLegacySession.
func (v *traveller) goesOn() bool {
	byPhone := v.medium == verification.MSISDN && v.goal.purpose == verification.Password && !v.goal.user
	return v.name != "" && v.leads() && !byPhone
}

// sensibly goes on in a form that everybody acts on.
func (v *traveller) sensibly() {
	if !v.applies() {
		v.method, v.encode, v.read = "POST", plainly, everywhere
	}
}

// address is what a session of a purpose is about, and how a client types it.
func (j *trip) address(p verification.Purpose) (canonical string, typed dict) {
	switch {
	case j.medium == verification.MSISDN && p == verification.Password:
		return "447400123456", dict{"country": "GB", "phone_number": "07400 123456"}
	case j.medium == verification.MSISDN:
		return "447400123457", dict{"country": "GB", "phone_number": "+447400123457"}
	case p == verification.Password:
		return "alice@x.org", dict{"email": "Alice@X.org"}
	}
	return "new@x.org", dict{"email": "new@x.org"}
}

// proof is what is shown. In a copy of the credentials something may be different.
type proof struct {
	sid, secret, password string
	differ                func(copied int, creds dict)
}

var purposePaths = map[verification.Purpose]string{
	verification.Register: "register", verification.Password: "account/password", verification.Add: "account/3pid",
}

// ask has a message sent, if the trip needs one.
func (v *traveller) ask() (p proof, code string) {
	v.asked++
	p = proof{sid: "none", secret: fmt.Sprint("our.secret.", v.asked), password: "secret"}
	if v.goal.place == "nowhere" {
		return p, ""
	}
	_, body := v.address(v.goal.purpose)
	body["client_secret"], body["send_attempt"] = p.secret, 1
	rec := v.send("POST", purposePaths[v.goal.purpose]+"/"+string(v.medium)+"/requestToken", body)
	wantStatus(v.t, rec, http.StatusOK)
	p.sid, _ = decoded(v.t, rec)["sid"].(string)
	return p, v.box.last(v.t).Token
}

// confirmed asks for a message and does what it says.
func (v *traveller) confirmed() proof {
	p, code := v.ask()
	path := route.PagePath(v.medium)
	var rec *httptest.ResponseRecorder
	switch {
	case v.goal.place == "nowhere":
		return p
	case v.byMachine:
		rec = v.do("POST", path, submitBody(p.sid, p.secret, code))
	case v.proof == verification.ProofLink:
		rec = v.confirm(p.sid, code)
	default:
		form := fields(v.do("GET", path+"?sid="+p.sid+"&client_secret="+p.secret, ""))
		form.Set("token", code)
		v.clock.Advance(web.MinRead)
		rec = v.postTo(path, form)
	}
	wantStatus(v.t, rec, http.StatusOK)
	return p
}

// proven is a confirmed session of any purpose, asked for past everybody.
func (v *traveller) proven(purpose verification.Purpose, address, secret string) (sid string) {
	v.t.Helper()
	medium := v.medium
	if strings.Contains(address, "@") {
		medium = verification.Email
	}
	opened, err := v.svc.RequestToken(v.t.Context(), verification.Request{
		Purpose: purpose, Medium: medium, Address: address, ClientSecret: secret, SendAttempt: 1, Proof: verification.ProofLink,
	})
	if err == nil {
		_, err = v.svc.Submit(v.t.Context(), verification.Submission{SID: opened.SID, Token: v.box.last(v.t).Token, ClientSecret: &secret})
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return opened.SID
}

// converse has a conversation begun, if the trip has one, and an address that is
// added in it.
func (v *traveller) converse(p proof) {
	v.name, v.count = "", v.count+1
	if v.goal.aside {
		v.aside = v.proven(verification.Add, fmt.Sprintf("new%d@x.org", v.count), "aside")
	}
	if !v.names || v.goal.place == wire.AddSpellings[0] {
		return
	}
	body, _ := v.body(p)
	if rec := v.sendTo(body); rec.Code == http.StatusUnauthorized {
		v.name, _ = decoded(v.t, rec)["session"].(string)
	}
}

// body is that of a request, and its "auth".
func (v *traveller) body(p proof) (body, auth dict) {
	body, auth = dict{}, dict{}
	for key, value := range v.goal.params {
		if text, ok := value.(string); ok {
			value = strings.ReplaceAll(text, "N", fmt.Sprint(v.count))
		}
		body[key] = value
	}
	if v.bind {
		for flag := range strings.FieldsSeq(v.goal.binds) {
			body[flag] = true
		}
	}
	if v.goal.aside {
		body["sid"], body["client_secret"] = v.aside, "aside"
	}
	switch v.goal.place {
	case "auth":
		auth["type"] = wire.StageEmail
		if v.medium == verification.MSISDN {
			auth["type"] = wire.StageMSISDN
		}
		v.put(auth, wire.UIASpellings, p)
	case "three_pid_creds":
		v.put(body, wire.AddSpellings, p)
	case "":
		maps.Copy(body, v.creds(0, p))
	}
	if v.goal.password {
		maps.Copy(auth, v.user)
		auth["type"], auth["password"] = wire.StagePassword, p.password
	}
	if v.name != "" {
		auth["session"] = v.name
	}
	return body, auth
}

// put writes credentials into a container, in the spellings of the trip.
func (v *traveller) put(holder dict, spellings [2]string, p proof) {
	for _, i := range v.containers {
		holder[spellings[i]] = v.creds(i, p)
	}
}

func (v *traveller) creds(i int, p proof) dict {
	creds := dict{"sid": p.sid}
	for _, key := range v.secrets {
		creds[key] = p.secret
	}
	for _, key := range v.servers {
		creds[key] = "localhost:8443"
	}
	if p.differ != nil {
		p.differ(i, creds)
	}
	return creds
}

// show makes the request that the trip is about.
func (v *traveller) show(p proof) *httptest.ResponseRecorder {
	body, auth := v.body(p)
	switch {
	case v.version == ancient && v.goal.tails["POST"] == route.TailRegister:
		maps.Copy(body, auth)
	case len(auth) > 0:
		body["auth"] = auth
	}
	return v.sendTo(body)
}

func (v *traveller) sendTo(body dict) *httptest.ResponseRecorder {
	return v.send(v.method, v.tail(), body)
}

// tail is the path of the endpoint, which may be none for the method.
func (j *trip) tail() string {
	if tail, ok := j.goal.tails[j.method]; ok {
		return tail
	}
	return j.goal.tails["POST"]
}

// send sends a body as it is written on the trip, and looks at what is told.
func (v *traveller) send(method, tail string, body dict) *httptest.ResponseRecorder {
	v.t.Helper()
	target := v.prefix + "/" + v.version + "/" + tail
	encode := v.encode
	if v.read == elsewhereOnly && tail != v.tail() {
		encode = plainly // of what is ours on the way
	}
	if v.queryToken && v.token != "" {
		target += "?access_token=" + v.token
	}
	req := httptest.NewRequest(method, target, encode(string(wire.Encoded(body))))
	if !v.queryToken && v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	rec := v.rig.send(req)
	for _, name := range v.hs.SessionNames() {
		if strings.Contains(rec.Body.String(), name) {
			v.t.Errorf("%s %s tells a name of the homeserver's: %s", method, tail, rec.Body)
		}
	}
	return rec
}

// want compares what has become of a request: the goal was reached, or nothing was.
func (v *traveller) want(reached bool, what string, rec *httptest.ResponseRecorder) {
	v.t.Helper()
	changes := v.hs.Changes()[v.seen:]
	v.seen += len(changes)
	there := slices.ContainsFunc(changes, func(c fakehs.Change) bool { return slices.Contains(v.goal.changes, c.Kind) })
	switch {
	case reached && (rec.Code != http.StatusOK || !there):
		v.t.Errorf("%s: got %d %s and changes %+v, want one of %q", what, rec.Code, rec.Body, changes, v.goal.changes)
	case !reached && (rec.Code < 400 || len(changes) > 0):
		v.t.Errorf("%s: got %d %s and changes %+v, want a refusal and none", what, rec.Code, rec.Body, changes)
	}
}

// wantUnseen: the homeserver was not told something.
func (v *traveller) wantUnseen(texts ...string) {
	v.t.Helper()
	for _, req := range v.hs.Requests() {
		for _, text := range texts {
			if strings.Contains(string(req.Body), text) {
				v.t.Errorf("the homeserver saw %q in %s %s %s", text, req.Method, req.Path, req.Body)
			}
		}
	}
}

// TestForms_WhoeverHasProvenArrivesOnce, in a conversation that goes on if it is
// named, and the homeserver learns neither the session nor its secret.
func TestForms_WhoeverHasProvenArrivesOnce(t *testing.T) {
	t.Parallel()
	travel(t, anywhere, func(v *traveller) {
		v.sensibly()
		p := v.confirmed()
		v.converse(p)
		begun := len(v.hs.SessionNames())
		v.want(v.leads(), "proven", v.show(p))
		if v.goesOn() && len(v.hs.SessionNames()) != begun {
			v.t.Error("the homeserver has begun another conversation")
		}
		if v.goal.place == "nowhere" {
			return // a password proves as often as one likes
		}
		v.wantUnseen(p.sid, p.secret, `"bind`)
		v.converse(p)
		v.want(false, "used up", v.show(p))
	})
}

// TestForms_NobodyArrivesWithoutAProof: without the click, the secret or the password,
// with a proof of another purpose or of somebody else; and that spoils nothing.
func TestForms_NobodyArrivesWithoutAProof(t *testing.T) {
	t.Parallel()
	travel(t, anywhere, func(v *traveller) {
		v.sensibly()
		wrong := func(what string, p proof) {
			v.t.Helper()
			v.converse(p)
			v.want(false, what, v.show(p))
		}
		if v.goal.place != "nowhere" {
			unread, _ := v.ask()
			wrong("not confirmed", unread)
			address, _ := v.address(v.goal.purpose)
			for other := range purposePaths {
				if other != v.goal.purpose {
					wrong("the purpose is "+string(other), proof{sid: v.proven(other, address, "s"), secret: "s", password: "secret"})
				}
			}
			v.clock.Advance(time.Hour)
		}
		if v.goal.place == "auth" && v.goal.user {
			v.hs.AddUser("bob", "secret", "bob@x.org")
			v.seen = len(v.hs.Changes())
			wrong("the address is another user's", proof{sid: v.proven(verification.Password, "bob@x.org", "b"), secret: "b"})
		}
		p := v.confirmed()
		if v.goal.password {
			wrong("another password", proof{sid: p.sid, secret: p.secret, password: "guess"})
		} else {
			wrong("another secret", proof{sid: p.sid, secret: "guess"})
		}
		v.converse(p)
		v.want(v.leads(), "proven after all that", v.show(p))
	})
}

// TestForms_ForeignServersAreRefused wherever one is named, and be it once.
func TestForms_ForeignServersAreRefused(t *testing.T) {
	t.Parallel()
	travel(t, func(j *trip) bool { return j.goal.place != "nowhere" }, func(v *traveller) {
		v.sensibly()
		v.converse(v.confirmed())
		copies := v.containers
		if v.goal.place == "" {
			copies = []int{0}
		}
		for _, i := range copies {
			for _, key := range wire.ServerSpellings {
				rec := v.show(proof{sid: "x", secret: "s", password: "secret", differ: func(copied int, creds dict) {
					if copied == i {
						creds[key] = evil
					}
				}})
				what := fmt.Sprintf("%s, in copy %d", key, i)
				if v.want(false, what, rec); decoded(v.t, rec)["errcode"] != wire.CodeServerNotTrusted {
					v.t.Errorf("%s: got %s", what, rec.Body)
				}
			}
		}
		v.wantUnseen(evil)
	})
}

// TestForms_WhatNobodyReadsDoesNothing: another method than that of the endpoint, a body
// that is no JSON to somebody, or of which we read the beginning only. The proof is
// still worth what it was.
func TestForms_WhatNobodyReadsDoesNothing(t *testing.T) {
	t.Parallel()
	travel(t, func(j *trip) bool { return !j.applies() }, func(v *traveller) {
		odd, sensible := v.trip, *v.trip
		v.trip = &sensible
		v.sensibly()
		p := v.confirmed()
		v.converse(p)
		v.trip = odd
		v.want(false, "it is not to be read", v.show(p))
		if v.method == "POST" {
			v.wantUnseen(p.sid)
		}
		v.trip = &sensible
		v.want(v.leads(), "as it should be", v.show(p))
	})
}

// TestForms_AStageWithoutCredentialsGoesOnAsItIs: it is whoever runs the conversation who
// says what is missing.
func TestForms_AStageWithoutCredentialsGoesOnAsItIs(t *testing.T) {
	t.Parallel()
	travel(t, func(j *trip) bool { return j.goal.place == "auth" }, func(v *traveller) {
		v.sensibly()
		v.converse(proof{})
		v.containers = nil
		rec := v.show(proof{})
		if v.want(false, "no credentials", rec); v.leads() && decoded(v.t, rec)["errcode"] != wire.CodeMissingParam {
			v.t.Errorf("got %d %s, want %s", rec.Code, rec.Body, wire.CodeMissingParam)
		}
	})
}
