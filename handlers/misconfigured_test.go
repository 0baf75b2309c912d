// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// told is a rig with the misconfigurations that the operator is told of.
func told(t *testing.T, callback bool, hs func(*fakehs.Options)) (*rig, *[]Misconfiguration) {
	t.Helper()
	var list []Misconfiguration
	r := newRig(t, options{hs: hs, config: func(c *Config) {
		c.Callback = callback
		c.Operator = operator{told: func(m Misconfiguration) { list = append(list, m) }}
	}})
	return r, &list
}

// stranger is a homeserver that does not know our name, and cut one that does
// not get through to us: its authorities do not know our certificate, say.
func stranger(o *fakehs.Options) { o.TrustedIDServers = []string{"matrix.org", "vector.im"} }

func cut(o *fakehs.Options) {
	o.HTTPClient = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// wantMisconfigured wants an answer that does not blame the client, and does not
// speak of a server that it never named.
func wantMisconfigured(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	wantError(t, rec, http.StatusBadGateway, "M_UNKNOWN")
	if body := rec.Body.String(); !strings.Contains(body, "administrator") || strings.Contains(body, "localhost") {
		t.Errorf("got %s, want who can mend it, and no name", body)
	}
}

// TestMisconfiguredHomeserverIsToldOf: at requestToken.
func TestMisconfiguredHomeserverIsToldOf(t *testing.T) {
	for name, tt := range map[string]struct {
		hs   func(*fakehs.Options)
		want Misconfiguration
	}{
		"our name is not trusted":        {stranger, NotTrusted},
		"our certificate is not trusted": {cut, Unreached},
	} {
		t.Run(name, func(t *testing.T) {
			r, list := told(t, true, tt.hs)
			r.hs.AddUser("alice", "old", "alice@x.org")
			for purpose, email := range map[string]string{"register": "b@x.org", "account/3pid": "c@x.org", "account/password": "alice@x.org"} {
				wantMisconfigured(t, r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
					`{"client_secret":"s","email":"`+email+`","send_attempt":1}`))
			}
			if want := []Misconfiguration{tt.want, tt.want, tt.want}; !slices.Equal(*list, want) {
				t.Errorf("the operator was told %q, want %q", *list, want)
			}
			if got := r.box.count(); got != 0 {
				t.Errorf("got %d messages, want none", got)
			}
		})
	}
}

// TestMisconfiguredHomeserverIsToldOfAtCompletion: nobody was asked before, and
// the homeserver refuses the proof without having asked about it.
func TestMisconfiguredHomeserverIsToldOfAtCompletion(t *testing.T) {
	for name, tt := range map[string]struct {
		hs   func(*fakehs.Options)
		want Misconfiguration
	}{
		"our name is not trusted":        {stranger, NotTrusted},
		"our certificate is not trusted": {cut, Unreached},
	} {
		t.Run(name, func(t *testing.T) {
			r, list := told(t, false, tt.hs)
			r.hs.AddUser("alice", "old", "alice@x.org")
			token := r.login("alice", "old")
			reset := resetBody(r.validated("account/password", "s", "alice@x.org"), "s")
			wantMisconfigured(t, r.reset(reset))
			add := `{"three_pid_creds":{"sid":"` + r.validated("account/3pid", "s", "b@x.org") + `","client_secret":"s"}}`
			wantMisconfigured(t, r.add(token, "r0", add))
			flat := strings.Replace(add, `{"three_pid_creds":{`, `{"auth":{"type":"m.login.password","user":"alice","password":"old"},`, 1)
			wantMisconfigured(t, r.do("POST", "/_matrix/client/v3/account/3pid/add", strings.Replace(flat, "}}", "}", 1), "Authorization", "Bearer "+token))
			if want := []Misconfiguration{tt.want, tt.want, tt.want}; !slices.Equal(*list, want) {
				t.Errorf("the operator was told %q, want %q", *list, want)
			}
		})
	}
}

// TestMendedHomeserverTakesTheSameProof: what was refused for the server's fault
// is not used up.
func TestMendedHomeserverTakesTheSameProof(t *testing.T) {
	mended := false
	r, _ := told(t, false, func(o *fakehs.Options) {
		way := o.HTTPClient.Transport
		o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if !mended {
				return nil, io.ErrUnexpectedEOF
			}
			return way.RoundTrip(req)
		})}
	})
	r.hs.AddUser("alice", "old", "alice@x.org")
	body := resetBody(r.validated("account/password", "s", "alice@x.org"), "s")
	wantMisconfigured(t, r.reset(body))
	mended = true
	wantStatus(t, r.reset(body), http.StatusOK)
}

// TestOtherRefusalsAreNotMisconfigurations: false alarms are worse than none.
func TestOtherRefusalsAreNotMisconfigurations(t *testing.T) {
	r, list := told(t, true, nil)
	r.client.cfg.Reveal = true
	r.hs.AddUser("alice", "old", "alice@x.org")
	ask := func(email string) *httptest.ResponseRecorder {
		return r.do("POST", "/_matrix/client/r0/register/email/requestToken", `{"client_secret":"s","email":"`+email+`","send_attempt":1}`)
	}
	wantError(t, ask("alice@x.org"), http.StatusBadRequest, "M_THREEPID_IN_USE")
	for _, answer := range []struct {
		status int
		body   string
	}{
		{502, `{"errcode":"M_UNKNOWN","error":"Bad Gateway"}`},
		{503, `{"errcode":"M_UNKNOWN","error":"Unavailable"}`},
		{500, `"Internal Server Error"`},
		{500, `{"errcode":"M_RESOURCE_LIMIT_EXCEEDED","error":"too many"}`},
		{403, `{"errcode":"M_UNKNOWN","error":"no"}`},
		{429, `{"errcode":"M_LIMIT_EXCEEDED","error":"slow"}`},
	} {
		r.hs.Inject(1, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, answer.body)
		})
		wantStatus(t, ask("b@x.org"), answer.status)
	}
	// A homeserver that has called us, and fails afterwards, can reach us.
	r.hs.Inject(1, nil, func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), req)
		w.WriteHeader(500)
		_, _ = io.WriteString(w, `{"errcode":"M_UNKNOWN","error":"Internal server error"}`)
	})
	wantStatus(t, ask("c@x.org"), http.StatusInternalServerError)
	// Before the click, and with a proof that is none, refusals are ordinary.
	sid := r.request("account/password", "s", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusUnauthorized)
	wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
	wantStatus(t, r.reset(resetBody(sid, "another")), http.StatusUnauthorized)
	token := `{"three_pid_creds":{"sid":"` + r.validated("account/3pid", "s", "d@x.org") + `","client_secret":"s"}}`
	wantStatus(t, r.add("no such token", "r0", token), http.StatusUnauthorized) // refused before it was looked at
	weak := strings.Replace(resetBody(sid, "s"), `"new_password":"correct horse",`, "", 1)
	wantStatus(t, r.reset(weak), http.StatusBadRequest) // asked, and refused for another reason
	if len(*list) != 0 {
		t.Errorf("the operator was told %q, want nothing", *list)
	}
}

// TestMisconfigurationOfDendrite: its words for the same.
func TestMisconfigurationOfDendrite(t *testing.T) {
	for body, want := range map[string]Misconfiguration{
		`{"Err":""}`: Unreached,
		`{"errcode":"M_SERVER_NOT_TRUSTED","error":"untrusted server"}`: NotTrusted,
	} {
		r, list := told(t, true, nil)
		status := 500
		if want == NotTrusted {
			status = 400
		}
		r.hs.Inject(1, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		wantMisconfigured(t, r.do("POST", "/_matrix/client/v3/account/3pid/email/requestToken", `{"client_secret":"s","email":"b@x.org","send_attempt":1}`))
		if !slices.Equal(*list, []Misconfiguration{want}) {
			t.Errorf("%s: the operator was told %q, want %q", body, *list, want)
		}
	}
}

// TestMisconfiguration_WhatIsOne: by what the homeserver answers to a proof that it has
// not asked about. A round of an authentication is none, and nor is anything where it has.
func TestMisconfiguration_WhatIsOne(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   Misconfiguration
	}{
		{401, `{"errcode":"M_UNAUTHORIZED"}`, NotTrusted},
		{401, `{"errcode":"M_UNAUTHORIZED","session":"s"}`, ""},
		{401, `{"errcode":"M_UNAUTHORIZED","flows":[]}`, ""},
		{401, `{"errcode":"M_FORBIDDEN"}`, ""},
		{401, `M_UNAUTHORIZED`, ""},
		{403, `{"errcode":"M_UNAUTHORIZED"}`, ""},
		{400, `{"errcode":"M_THREEPID_AUTH_FAILED"}`, NotTrusted},
		{400, `{"errcode":"M_INVALID_PARAM"}`, ""},
		{401, `{"errcode":"M_THREEPID_AUTH_FAILED"}`, ""},
		{400, `{"errcode":"M_SERVER_NOT_TRUSTED"}`, NotTrusted},
		{500, `{"errcode":"M_UNKNOWN"}`, Unreached},
		{500, `{}`, Unreached},
		{500, `[]`, ""},
		{500, `<html>`, ""},
		{500, `{"errcode":"M_FORBIDDEN"}`, ""},
		{502, `{"errcode":"M_UNKNOWN"}`, ""},
		{200, `{}`, ""},
	} {
		answer := &wire.Answer{Status: c.status}
		answer.Body.WriteString(c.body)
		if got := (&verdict{answer: answer, unasked: true}).misconfiguration(); got != c.want {
			t.Errorf("%d %s: got %q, want %q", c.status, c.body, got, c.want)
		}
		if got := (&verdict{answer: answer}).misconfiguration(); got != "" {
			t.Errorf("%d %s: got %q of a homeserver that has asked", c.status, c.body, got)
		}
	}
}

// TestMisconfiguredWithoutAnybodyToTell: the client is told all the same.
func TestMisconfiguredWithoutAnybodyToTell(t *testing.T) {
	r := newRig(t, options{config: callback.config, hs: stranger})
	wantMisconfigured(t, r.do("POST", registerToken, validToken))
	r.wantEvent("client", "request_token", "upstream", http.StatusBadGateway)
}
