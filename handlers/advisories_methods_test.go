// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// method is one way to prove an address. Whoever adds another one adds it here.
type method struct {
	name   string
	medium string
	stage  string
	proof  verification.Proof
}

var everyMethod = []method{
	{"a link by mail", "email", "m.login.email.identity", verification.ProofLink},
	{"a code by mail", "email", "m.login.email.identity", verification.ProofCode},
	{"a code to a phone", "msisdn", "m.login.msisdn", verification.ProofCode},
}

func (m method) rig(t *testing.T, config func(*Config)) *rig {
	t.Helper()
	r, _ := phoneRig(t, options{config: func(c *Config) {
		c.Proof = m.proof
		if config != nil {
			config(c)
		}
	}})
	r.hs.AddUser("alice", "old", "alice@x.org")
	r.hs.AddThreepid("alice", "msisdn", "447400123456")
	return r
}

func (m method) ask(r *rig, purpose, secret, more string) *httptest.ResponseRecorder {
	address := `"email":"alice@x.org"`
	if m.medium == "msisdn" {
		address = `"country":"GB","phone_number":"07400123456"`
	}
	return r.do("POST", "/_matrix/client/v3/"+purpose+"/"+m.medium+"/requestToken",
		fmt.Sprintf(`{"client_secret":%q,"send_attempt":1,%s%s}`, secret, address, more))
}

func (m method) open(r *rig, purpose, secret string) (sid, token string) {
	r.t.Helper()
	rec := m.ask(r, purpose, secret, "")
	wantStatus(r.t, rec, http.StatusOK)
	return decoded(r.t, rec)["sid"].(string), string(r.box.last(r.t).Token)
}

func (m method) submit(r *rig, sid, secret, token string) *httptest.ResponseRecorder {
	return r.do("POST", "/_threepid/validate/"+m.medium+"/submitToken", submitBody(sid, secret, token), "Content-Type", "application/json")
}

func (m method) reset(r *rig, sid, secret string) *httptest.ResponseRecorder {
	return r.reset(strings.Replace(resetBody(sid, secret), "m.login.email.identity", m.stage, 1))
}

// Kratos GHSA-wc43-73w7-x2f5: a method that came later did not know the gates
// of those before it. Every method has to stop at every gate.
func TestAdvisory27_EveryMethodStopsAtEveryGate(t *testing.T) {
	gates := map[string]func(t *testing.T, m method){
		"not confirmed": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			sid, _ := m.open(r, "account/password", "s")
			wantStatus(t, m.reset(r, sid, "s"), http.StatusUnauthorized)
			wantUnchanged(t, r)
		},
		"another purpose": func(t *testing.T, m method) {
			for _, purpose := range []string{"register", "account/3pid"} {
				r := m.rig(t, nil)
				sid, token := m.open(r, purpose, "s")
				wantStatus(t, m.submit(r, sid, "s", token), http.StatusOK)
				wantStatus(t, m.reset(r, sid, "s"), http.StatusUnauthorized)
				wantUnchanged(t, r)
			}
		},
		"another secret": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			sid, token := m.open(r, "account/password", "s")
			wantStatus(t, m.submit(r, sid, "other", token), http.StatusBadRequest)
			wantStatus(t, m.submit(r, sid, "s", token), http.StatusOK)
			wantStatus(t, m.reset(r, sid, "other"), http.StatusUnauthorized)
			wantUnchanged(t, r)
		},
		"the other stage": func(t *testing.T, m method) {
			// A mail is not good where a phone is asked for, nor the reverse.
			r := m.rig(t, nil)
			sid, token := m.open(r, "account/password", "s")
			wantStatus(t, m.submit(r, sid, "s", token), http.StatusOK)
			swapped := m
			swapped.stage = map[string]string{"email": "m.login.msisdn", "msisdn": "m.login.email.identity"}[m.medium]
			wantStatus(t, swapped.reset(r, sid, "s"), http.StatusUnauthorized)
			wantUnchanged(t, r)
		},
		"guessing": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			sid, token := m.open(r, "account/password", "s")
			for n := range verification.DefaultMaxTries {
				guess := fmt.Sprintf("%06d", n)
				if guess == token {
					guess = "999999"
				}
				wantStatus(t, m.submit(r, sid, "s", guess), http.StatusBadRequest)
			}
			wantStatus(t, m.submit(r, sid, "s", token), http.StatusBadRequest)
			wantStatus(t, m.reset(r, sid, "s"), http.StatusUnauthorized)
			wantUnchanged(t, r)
		},
		"somebody else's address": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			r.hs.AddUser("mallory", "old")
			sid, token := m.open(r, "account/3pid", "s")
			wantStatus(t, m.submit(r, sid, "s", token), http.StatusOK)
			rec := r.add(r.login("mallory", "old"), "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"s"}}`, sid))
			wantError(t, rec, http.StatusBadRequest, "M_THREEPID_IN_USE")
			if got := r.hs.Threepids("mallory"); len(got) != 0 {
				t.Errorf("mallory has %v", got)
			}
		},
		"a foreign next_link": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			rec := m.ask(r, "register", "s", `,"next_link":"https://evil.example"`)
			wantStatus(t, rec, http.StatusOK)
			wantNotFollowed(t, r, decoded(t, rec)["sid"].(string), "evil.example")
		},
		"switched off": func(t *testing.T, m method) {
			r := m.rig(t, func(c *Config) { c.NoEmail = true })
			if m.medium == "msisdn" {
				r.client.cfg.Phones = nil
			}
			for _, purpose := range []string{"register", "account/password", "account/3pid"} {
				wantError(t, m.ask(r, purpose, "s", ""), http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
			}
			if r.box.count() != 0 {
				t.Error("a message was sent")
			}
		},
		"used": func(t *testing.T, m method) {
			r := m.rig(t, nil)
			sid, token := m.open(r, "account/password", "s")
			wantStatus(t, m.submit(r, sid, "s", token), http.StatusOK)
			wantStatus(t, m.reset(r, sid, "s"), http.StatusOK) // the gates do open
			again := strings.Replace(resetBody(sid, "s"), "m.login.email.identity", m.stage, 1)
			wantStatus(t, r.reset(strings.Replace(again, "correct horse", "thief", 1)), http.StatusUnauthorized)
			if r.hs.CheckPassword("alice", "thief") {
				t.Error("one proof has reset the password twice")
			}
		},
	}
	for name, gate := range gates {
		for _, m := range everyMethod {
			t.Run(name+"/"+m.name, func(t *testing.T) { gate(t, m) })
		}
	}
}

func wantUnchanged(t *testing.T, r *rig) {
	t.Helper()
	if !r.hs.CheckPassword("alice", "old") {
		t.Error("the password was changed")
	}
}
