// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// gated is a rig with a gate, in one of the two modes.
func gated(t *testing.T, opts options, gate Gate, hs func(*fakehs.Options)) *rig {
	t.Helper()
	before := opts.config
	opts.config = func(c *Config) {
		if before != nil {
			before(c)
		}
		c.RegistrationGate = gate
		c.NextLinkOrigins = []string{"https://app.example.org"}
	}
	opts.hs = hs
	return newRig(t, opts)
}

const registerToken = "/_matrix/client/v3/register/email/requestToken"

func (r *rig) signUp(secret string, more ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	extra := ""
	if len(more) > 0 {
		extra = "," + more[0]
	}
	return r.do("POST", registerToken, `{"client_secret":"`+secret+`","email":"`+secret+`@x.org","send_attempt":1`+extra+`}`)
}

func (r *rig) wantMails(n int) {
	r.t.Helper()
	if got := r.box.count(); got != n {
		r.t.Errorf("got %d mails, want %d", got, n)
	}
}

// probes are the registrations that the homeserver saw.
func (r *rig) probes() int {
	n := 0
	for _, req := range r.hs.Requests() {
		if req.Method == http.MethodPost && strings.HasSuffix(req.Path, "/register") {
			n++
		}
	}
	return n
}

func TestGate_NoMailWhereNobodyRegisters(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := gated(t, opts, GateOffered, func(o *fakehs.Options) { o.RegistrationEnabled = false })
		for i := range 3 {
			wantError(t, r.signUp(fmt.Sprint("s", i)), http.StatusForbidden, "M_FORBIDDEN")
		}
		r.wantMails(0)
		if got := r.probes(); got != 1 {
			t.Errorf("got the homeserver asked %d times, want once", got)
		}
		// The other purposes are no business of it.
		r.hs.AddUser("alice", "pw")
		wantStatus(t, r.do("POST", "/_matrix/client/r0/account/3pid/email/requestToken",
			`{"client_secret":"s","email":"new@x.org","send_attempt":1}`), http.StatusOK)
		r.wantMails(1)
	})
}

func TestGate_OffSendsAlways(t *testing.T) {
	r := gated(t, options{}, GateOff, func(o *fakehs.Options) { o.RegistrationEnabled = false })
	wantStatus(t, r.signUp("s"), http.StatusOK)
	r.wantMails(1)
	if got := r.probes(); got != 0 {
		t.Errorf("got the homeserver asked %d times, want never", got)
	}
}

func TestGate_MailWhileTheStageIsOffered(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := gated(t, opts, GateOffered, func(o *fakehs.Options) { o.CaptchaResponse = "solved" })
		wantStatus(t, r.signUp("a"), http.StatusOK) // the captcha is not asked for by this gate
		wantStatus(t, r.signUp("b"), http.StatusOK)
		r.wantMails(2)
		if got := r.probes(); got != 1 {
			t.Errorf("got the homeserver asked %d times, want once", got)
		}
		r.clock.Advance(hsapi.OfferTime)
		wantStatus(t, r.signUp("c"), http.StatusOK)
		if got := r.probes(); got != 2 {
			t.Errorf("got the homeserver asked %d times, want again after %s", got, hsapi.OfferTime)
		}
	})
}

// answering is a homeserver whose registration answers as it is told.
type answering struct {
	status, asked atomic.Int64
	body          atomic.Value
}

func (a *answering) say(status int, body string) {
	a.body.Store(body)
	a.status.Store(int64(status))
}

func (a *answering) next(w http.ResponseWriter, r *http.Request) error {
	a.asked.Add(1)
	status := int(a.status.Load())
	if status == 0 {
		return errors.New("connection refused")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write([]byte(a.body.Load().(string)))
	return err
}

const withEmail = `{"session":"u1","flows":[{"stages":["m.login.email.identity"]}],"params":{}}`

func TestGate_WhatTheHomeserverAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		body    string
		want    int
		errcode string
		kept    bool // and remembered
	}{
		{"an email stage", 401, withEmail, 200, "", true},
		{"a phone stage only", 401, `{"session":"s","flows":[{"stages":["m.login.msisdn"]},{"stages":["m.login.dummy"]}]}`, 403, "M_FORBIDDEN", true},
		{"no stages", 401, `{"session":"s","flows":[{"stages":[]}]}`, 403, "M_FORBIDDEN", true},
		{"registration without stages", 200, `{"user_id":"@x:y"}`, 403, "M_FORBIDDEN", true},
		{"a page", 200, `<html>`, 502, "M_UNKNOWN", false},
		{"closed as of today", 403, `{"errcode":"M_FORBIDDEN","error":"Registration has been disabled"}`, 403, "M_FORBIDDEN", true},
		{"closed as of 1.3.1", 403, `{"errcode":"M_UNKNOWN","error":"Registration has been disabled"}`, 403, "M_FORBIDDEN", true},
		{"refused by a proxy", 403, `<html>`, 403, "M_FORBIDDEN", false},
		{"refused by a proxy that speaks JSON", 403, `{"error":"no"}`, 403, "M_FORBIDDEN", false},
		{"not found by a proxy", 404, `<html>`, 403, "M_FORBIDDEN", false},
		{"a token that is not known", 401, `{"errcode":"M_UNKNOWN_TOKEN","error":"x"}`, 502, "M_UNKNOWN", false},
		{"terms that somebody has not read", 403, `{"errcode":"M_CONSENT_NOT_GIVEN","error":"x"}`, 403, "M_FORBIDDEN", false},
		{"none at all", 404, `{"errcode":"M_UNRECOGNIZED","error":"x"}`, 403, "M_FORBIDDEN", true},
		{"none at all, of old", 400, `{"errcode":"M_UNRECOGNIZED","error":"x"}`, 403, "M_FORBIDDEN", true},
		{"another 401", 401, `{"errcode":"M_MISSING_TOKEN","error":"x"}`, 502, "M_UNKNOWN", false},
		{"no JSON", 401, `flows`, 502, "M_UNKNOWN", false},
		{"stages that are no challenge", 403, withEmail, 403, "M_FORBIDDEN", false},
		{"a page of somebody with our words", 500, withEmail, 502, "M_UNKNOWN", false},
		{"not of this kind", 405, `{"errcode":"M_FORBIDDEN","error":"x"}`, 403, "M_FORBIDDEN", true},
		{"not of this kind, by a proxy", 405, `<html>`, 403, "M_FORBIDDEN", false},
		{"not made", 501, `{"errcode":"M_UNKNOWN","error":"x"}`, 403, "M_FORBIDDEN", true},
		{"not made, by a proxy", 501, `<html>`, 403, "M_FORBIDDEN", false},
		{"bad", 400, `{"errcode":"M_UNKNOWN","error":"x"}`, 502, "M_UNKNOWN", false},
		{"gone", 410, `<html>`, 502, "M_UNKNOWN", false},
		{"moved", 302, `{"user_id":"@x:y"}`, 502, "M_UNKNOWN", false},
		{"a limit", 429, `{"errcode":"M_LIMIT_EXCEEDED","error":"x","retry_after_ms":5}`, 429, "M_LIMIT_EXCEEDED", false},
		{"a failure", 500, `{"errcode":"M_UNKNOWN","error":"x"}`, 502, "M_UNKNOWN", false},
		{"down", 0, ``, 502, "M_UNKNOWN", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &answering{}
			a.say(c.status, c.body)
			r := gated(t, options{next: a.next}, GateOffered, nil)
			for range 2 {
				rec := r.signUp("s")
				if wantStatus(t, rec, c.want); c.want != 200 {
					wantError(t, rec, c.want, c.errcode)
				}
			}
			sent := 0
			if c.want == 200 {
				sent = 1
			}
			r.wantMails(sent)
			if got, want := a.asked.Load() == 1, c.kept; got != want {
				t.Errorf("got the homeserver asked %d times, want it remembered: %v", a.asked.Load(), want)
			}
		})
	}
}

// TestGate_DownAfterItWasUp: what was known is not relied on for ever, and a
// homeserver that is down sends nobody a mail.
func TestGate_DownAfterItWasUp(t *testing.T) {
	a := &answering{}
	a.say(401, withEmail)
	r := gated(t, options{next: a.next}, GateOffered, nil)
	wantStatus(t, r.signUp("a"), http.StatusOK)
	a.say(0, "")
	r.clock.Advance(hsapi.OfferTime)
	wantError(t, r.signUp("b"), http.StatusBadGateway, "M_UNKNOWN")
	r.wantMails(1)
	a.say(401, withEmail)
	wantStatus(t, r.signUp("b"), http.StatusOK)
}

// TestGate_AClientsRegistrationTellsItAnew: an admin who opens registration need
// not wait, as clients register before they ask for a mail.
func TestGate_AClientsRegistrationTellsItAnew(t *testing.T) {
	a := &answering{}
	a.say(403, `{"errcode":"M_FORBIDDEN","error":"closed"}`)
	r := gated(t, options{next: a.next}, GateOffered, nil)
	wantError(t, r.signUp("s"), http.StatusForbidden, "M_FORBIDDEN")
	a.say(401, withEmail)
	wantError(t, r.signUp("s"), http.StatusForbidden, "M_FORBIDDEN")
	rec := r.do("POST", "/_matrix/client/v3/register", `{"username":"a"}`)
	wantStatus(t, rec, http.StatusUnauthorized)
	r.wantUnsealed(rec, withEmail)
	if rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %q, want the homeserver's answer", rec.Header())
	}
	wantStatus(t, r.signUp("s"), http.StatusOK)
	// A guest's refusal says nothing about it.
	a.say(401, `{"flows":[{"stages":["m.login.dummy"]}]}`)
	wantStatus(t, r.do("POST", "/_matrix/client/v3/register?kind=guest", `{}`), http.StatusUnauthorized)
	wantStatus(t, r.signUp("t"), http.StatusOK)
}

// TestGate_ManyAskOnce: a crowd that comes when nothing is known makes one
// request, and shares its failure.
func TestGate_ManyAskOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		a := &answering{}
		entered, gate := make(chan struct{}, 100), make(chan struct{})
		next := func(w http.ResponseWriter, r *http.Request) error {
			entered <- struct{}{}
			<-gate
			return a.next(w, r)
		}
		if !fails {
			a.say(401, withEmail)
		}
		r := gated(t, options{next: next}, GateOffered, nil)
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				req := httptest.NewRequest("POST", registerToken, strings.NewReader(fmt.Sprintf(`{"client_secret":"s%d","email":"a%d@x.org","send_attempt":1}`, i, i)))
				if err := r.client.ServeHTTP(httptest.NewRecorder(), req, r.next); err != nil {
					t.Error(err)
				}
			})
		}
		<-entered
		close(gate)
		wg.Wait()
		sent := 30
		if fails {
			sent = 0
		}
		r.wantMails(sent)
		if got := a.asked.Load(); !fails && got != 1 {
			t.Errorf("got the homeserver asked %d times, want once", got)
		}
	}
}

// steps is a homeserver with all three gates before the email stage.
func steps(o *fakehs.Options) {
	o.CaptchaResponse, o.Terms, o.RegistrationToken = "solved", true, "invited"
}

// stage completes one stage and returns the answer.
func (r *rig) stage(session, auth string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", "/_matrix/client/v3/register", `{"auth":{`+auth+`,"session":"`+session+`"}}`)
}

func (r *rig) begin() string {
	r.t.Helper()
	rec := r.do("POST", "/_matrix/client/v3/register", `{"username":"bob","password":"pw"}`)
	wantStatus(r.t, rec, http.StatusUnauthorized)
	return decoded(r.t, rec)["session"].(string)
}

// earlier are the stages before the mail, each of which answers 401.
var earlier = []string{
	`"type":"m.login.registration_token","token":"invited"`, `"type":"m.login.recaptcha","response":"solved"`, `"type":"m.login.terms"`,
}

// TestGate_TheMailWaitsForTheEarlierStages: as matrix-js-sdk does it, which asks
// for the mail at the first 401, and then never again.
func TestGate_TheMailWaitsForTheEarlierStages(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := gated(t, opts, GateCompleted, steps)
		session := r.begin()
		rec := r.signUp("s")
		wantStatus(t, rec, http.StatusOK)
		sid := decoded(t, rec)["sid"].(string)
		wantStatus(t, r.stage(session, `"type":"m.login.recaptcha","response":"wrong"`), http.StatusUnauthorized)
		for _, auth := range earlier {
			r.wantMails(0)
			wantStatus(t, r.stage(session, auth), http.StatusUnauthorized)
		}
		r.wantMails(1)
		if got := r.box.last(t).SID; got != threepid.SID(sid) {
			t.Errorf("got a mail of session %s, want %s", got, sid)
		}
		creds := `"type":"m.login.email.identity","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}`
		wantStatus(t, r.stage(session, creds), http.StatusUnauthorized)
		r.wantMails(1)
		wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
		wantStatus(t, r.stage(session, creds), http.StatusOK)
		if got := r.hs.Emails("bob"); len(got) != 1 || got[0] != "s@x.org" {
			t.Errorf("got addresses %v, want that of the registration", got)
		}
	})
}

// TestGate_TheSessionThatNextLinkNames is the one that counts, whether or not the link
// will be followed.
func TestGate_TheSessionThatNextLinkNames(t *testing.T) {
	for _, app := range []string{"https://app.example.org", "https://elsewhere.example", "vector://vector"} {
		t.Run(app, func(t *testing.T) { theSessionThatNextLinkNames(t, app) })
	}
}

func theSessionThatNextLinkNames(t *testing.T, app string) {
	r := gated(t, options{}, GateCompleted, steps)
	done := r.begin()
	for _, auth := range earlier {
		wantStatus(t, r.stage(done, auth), http.StatusUnauthorized)
	}
	fresh := r.begin() // the newest of this client
	link := func(session string) string {
		return `"next_link":"` + app + `/#/register?client_secret=x&hs_url=y&session_id=` + session + `"`
	}
	wantStatus(t, r.signUp("a", link(done)), http.StatusOK)
	r.wantMails(1)
	wantStatus(t, r.signUp("b", link(fresh)), http.StatusOK)
	wantStatus(t, r.signUp("c", link("made-up")), http.StatusOK)
	wantStatus(t, r.signUp("d"), http.StatusOK)
	r.wantMails(1)
	for _, auth := range earlier {
		wantStatus(t, r.stage(fresh, auth), http.StatusUnauthorized)
	}
	r.wantMails(2) // the newest request of that session
	if got := r.box.last(t).Address; got != "d@x.org" {
		t.Errorf("got a mail to %s, want to d@x.org", got)
	}
}

func TestGate_NoMailWithoutARegistration(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := gated(t, opts, GateCompleted, steps)
		rec := r.signUp("s")
		wantError(t, rec, http.StatusForbidden, "M_FORBIDDEN")
		if text := decoded(t, rec)["error"].(string); !strings.Contains(text, "begin the registration") {
			t.Errorf("got %q, want to be told what to do", text)
		}
		session := r.begin()
		wantError(t, r.do("POST", registerToken, validToken, "User-Agent", "another"), http.StatusForbidden, "M_FORBIDDEN")
		for _, auth := range earlier {
			wantStatus(t, r.stage(session, auth), http.StatusUnauthorized)
		}
		r.clock.Advance(11 * time.Minute)
		wantError(t, r.signUp("s"), http.StatusForbidden, "M_FORBIDDEN") // another's, for all we know
		r.wantMails(0)
	})
}

// TestGate_NothingToComplete: where no stage comes before, no registration has to
// be named.
func TestGate_NothingToComplete(t *testing.T) {
	r := gated(t, options{}, GateCompleted, nil)
	wantStatus(t, r.signUp("s"), http.StatusOK)
	r.wantMails(1)
}

func TestGate_Reached(t *testing.T) {
	of := func(flows ...string) *hsapi.Offer {
		o := &hsapi.Offer{}
		for _, f := range flows {
			o.Flows = append(o.Flows, hsapi.Flow{Stages: strings.Fields(f)})
		}
		return o
	}
	const email, phone = " m.login.email.identity", " m.login.msisdn"
	for _, c := range []struct {
		name      string
		offer     *hsapi.Offer
		completed string
		email     bool
		phone     bool
	}{
		{"nothing offered", of(), "", false, false},
		{"nothing before", of(email), "", true, false},
		{"a dummy before", of("m.login.dummy" + email), "", true, false},
		{"a phone before", of(phone + email), "", true, true},
		{"a captcha before", of("captcha" + email), "", false, false},
		{"a captcha done", of("captcha" + email), "captcha", true, false},
		{"another done", of("captcha" + email), "terms", false, false},
		{"one of two done", of("captcha terms" + email), "captcha", false, false},
		{"terms after", of("captcha" + email + " terms"), "captcha", true, false},
		{"a free flow beside", of("captcha"+email, "m.login.dummy"+email), "", true, false},
		{"one medium only", of("captcha"+email, phone), "", false, true},
	} {
		for medium, want := range map[threepid.Medium]bool{threepid.Email: c.email, threepid.MSISDN: c.phone} {
			if got := c.offer.Reached(medium, strings.Fields(c.completed)); got != want {
				t.Errorf("%s: got %s reached %v, want %v", c.name, medium, got, want)
			}
		}
	}
}

func TestGate_SessionsThatClientsName(t *testing.T) {
	for _, c := range []struct{ link, want string }{
		{"", ""},
		{"https://app.example.org/", ""},
		{"https://app.example.org/#/register?client_secret=a&hs_url=https%3A%2F%2Fx&is_url=&session_id=AbC", "AbC"},
		{"https://app.example.org/register?session_id=AbC", "AbC"},
		{"https://app.example.org/register?session=AbC#top", "AbC"},
		{"https://app.example.org/?session_id=a#/register?session_id=a", "a"},
		{"https://app.example.org/?session_id=a#/register?session_id=b", ""},
		{"https://app.example.org/?session_id=a&session_id=b", ""},
		{"https://app.example.org/?session_id=", ""},
		{"https://app.example.org/?session_id=%zz", ""},
		{"://", ""},
	} {
		if got := uiaSession(c.link); got != threepid.SealedUIASession(c.want) {
			t.Errorf("uiaSession(%q) = %q, want %q", c.link, got, c.want)
		}
	}
}
