// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"net/http"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	s := start(t)
	r := mustDo(t, s, http.MethodGet, StatusPath, "", "")
	if r.status != http.StatusOK || r.text != "{}" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %q", r.status, r.text)
	}
	for _, other := range []string{"GET " + BindPath, "POST " + StatusPath, "GET /", "POST /_matrix/identity/api/v1/3pid/bind"} {
		method, path, _ := strings.Cut(other, " ")
		if r := mustDo(t, s, method, path, "", ""); r.status != http.StatusNotFound || r.object["errcode"] != "M_UNRECOGNIZED" {
			t.Errorf("%s: got %d %q, want 404 M_UNRECOGNIZED", other, r.status, r.text)
		}
	}
}

func TestBind(t *testing.T) {
	s := start(t)
	r := mustDo(t, s, http.MethodPost, BindPath, "alice-token", goodBind)
	if r.status != http.StatusOK {
		t.Fatalf("got %d %q, want 200", r.status, r.text)
	}
	for key, want := range map[string]any{"medium": "email", "address": "alice@example.org", "mxid": "@alice:example.org"} {
		if got := r.object[key]; got != want {
			t.Errorf("%s: got %v, want %v", key, got, want)
		}
	}
	before, ok1 := r.object["not_before"].(float64)
	after, ok2 := r.object["not_after"].(float64)
	ts, ok3 := r.object["ts"].(float64)
	if !ok1 || !ok2 || !ok3 || before > ts || after <= ts {
		t.Errorf("got a validity of %v to %v at %v", before, after, ts)
	}
	if signatures, ok := r.object["signatures"].(map[string]any); !ok || signatures[s.Name()] == nil {
		t.Errorf("got signatures %v, want one by %s", r.object["signatures"], s.Name())
	}
	if got := s.Lookup("email", "alice@example.org"); got != "@alice:example.org" {
		t.Errorf("bound to %q", got)
	}
	if got := s.Lookup("msisdn", "alice@example.org"); got != "" {
		t.Errorf("another medium: bound to %q", got)
	}
}

func TestBindRefusals(t *testing.T) {
	tests := []struct {
		name, token, body string
		prepare           func(*Server)
		status            int
		errcode           string
	}{
		{"no token", "", goodBind, nil, 401, "M_UNAUTHORIZED"},
		{"unknown token", "other", goodBind, nil, 401, "M_UNAUTHORIZED"},
		{"another user's token", "bob-token", goodBind, func(s *Server) { s.AddToken("bob-token", "@bob:example.org") }, 403, "M_UNAUTHORIZED"},
		{"terms", "alice-token", goodBind, func(s *Server) { s.RequireTerms(true) }, 403, "M_TERMS_NOT_SIGNED"},
		{"terms, but unknown", "other", goodBind, func(s *Server) { s.RequireTerms(true) }, 401, "M_UNAUTHORIZED"},
		{"unknown session", "alice-token", strings.Replace(goodBind, `"1"`, `"2"`, 1), nil, 404, "M_NO_VALID_SESSION"},
		{"wrong secret", "alice-token", strings.Replace(goodBind, "secret\":\"secret", "secret\":\"guess", 1), nil, 404, "M_NO_VALID_SESSION"},
		{"pending", "alice-token", goodBind, func(s *Server) { s.AddSession(Session{SID: "1", ClientSecret: "secret", Pending: true}) }, 400, "M_SESSION_NOT_VALIDATED"},
		{"expired", "alice-token", goodBind, func(s *Server) { s.AddSession(Session{SID: "1", ClientSecret: "secret", Expired: true}) }, 400, "M_SESSION_EXPIRED"},
		{"no JSON", "alice-token", "sid=1", nil, 400, "M_BAD_JSON"},
		{"wrong types", "alice-token", `{"sid":1,"client_secret":"secret","mxid":"@alice:example.org"}`, nil, 400, "M_BAD_JSON"},
		{"missing keys", "alice-token", `{"sid":"1"}`, nil, 400, "M_MISSING_PARAMS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			r := mustDo(t, s, http.MethodPost, BindPath, tt.token, tt.body)
			if r.status != tt.status || r.object["errcode"] != tt.errcode {
				t.Errorf("got %d %q, want %d %s", r.status, r.text, tt.status, tt.errcode)
			}
			if got := s.Lookup("email", "alice@example.org"); got != "" {
				t.Errorf("bound to %q all the same", got)
			}
		})
	}
}

func TestUnbind(t *testing.T) {
	s := start(t)
	mustDo(t, s, http.MethodPost, BindPath, "alice-token", goodBind)
	s.SetBinding("email", "bob@example.org", "@bob:example.org")
	if r := mustDo(t, s, http.MethodPost, UnbindPath, "", goodUnbind); r.status != http.StatusOK || r.text != "{}" {
		t.Errorf("got %d %q, want 200 {}", r.status, r.text)
	}
	if got := s.Lookup("email", "alice@example.org"); got != "" {
		t.Errorf("still bound to %q", got)
	}
	if got := s.Lookup("email", "bob@example.org"); got != "@bob:example.org" {
		t.Errorf("the other binding: got %q", got)
	}
	// What is gone cannot go again.
	if r := mustDo(t, s, http.MethodPost, UnbindPath, "", goodUnbind); r.status != http.StatusForbidden {
		t.Errorf("twice: got %d %q, want 403", r.status, r.text)
	}
	s.SetBinding("email", "bob@example.org", "")
	if got := s.Lookup("email", "bob@example.org"); got != "" {
		t.Errorf("after SetBinding to nobody: got %q", got)
	}
}

func TestUnbindRefusals(t *testing.T) {
	const session = `"sid":"1","client_secret":"secret"`
	tests := []struct {
		name, body string
		prepare    func(*Server)
		status     int
		errcode    string
	}{
		{"another user", strings.Replace(goodUnbind, "@alice", "@bob", 1), nil, 403, "M_FORBIDDEN"},
		{"another address", strings.Replace(goodUnbind, `"alice@`, `"bob@`, 1), nil, 403, "M_FORBIDDEN"},
		{"another medium", strings.Replace(goodUnbind, `"email"`, `"msisdn"`, 1), nil, 403, "M_FORBIDDEN"},
		{"unknown session", strings.Replace(goodUnbind, `"sid":"1"`, `"sid":"2"`, 1), nil, 403, "M_FORBIDDEN"},
		{"wrong secret", strings.Replace(goodUnbind, `:"secret"`, `:"guess"`, 1), nil, 403, "M_FORBIDDEN"},
		{"no session", strings.Replace(goodUnbind, session+",", "", 1), nil, 403, "M_FORBIDDEN"},
		{"pending", goodUnbind, func(s *Server) {
			s.AddSession(Session{SID: "1", ClientSecret: "secret", Medium: "email", Address: "alice@example.org", Pending: true})
		}, 403, "M_FORBIDDEN"},
		{"expired", goodUnbind, func(s *Server) {
			s.AddSession(Session{SID: "1", ClientSecret: "secret", Medium: "email", Address: "alice@example.org", Expired: true})
		}, 403, "M_FORBIDDEN"},
		{"no JSON", "sid=1", nil, 400, "M_BAD_JSON"},
		{"missing keys", "{" + session + "}", nil, 400, "M_MISSING_PARAMS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.SetBinding("email", "alice@example.org", "@alice:example.org")
			if tt.prepare != nil {
				tt.prepare(s)
			}
			r := mustDo(t, s, http.MethodPost, UnbindPath, "", tt.body)
			if r.status != tt.status || r.object["errcode"] != tt.errcode {
				t.Errorf("got %d %q, want %d %s", r.status, r.text, tt.status, tt.errcode)
			}
			if got := s.Lookup("email", "alice@example.org"); got != "@alice:example.org" {
				t.Errorf("unbound all the same, now %q", got)
			}
		})
	}
}
