// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

func TestVersionsIsWhatSynapse131Claims(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	got := w.do("GET", "/_matrix/client/versions", "", "")
	want := `{"unstable_features":{"m.lazy_load_members":true},` +
		`"versions":["r0.0.1","r0.1.0","r0.2.0","r0.3.0","r0.4.0","r0.5.0"]}`
	if got.status != 200 || got.raw != want {
		t.Errorf("got %d %s, want 200 %s", got.status, got.raw, want)
	}
}

func TestPathsOutsideTheTreeAreAnHTMLPage(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	for _, tc := range []struct{ method, path string }{
		{"POST", "/_matrix/client/v3/register"},
		{"GET", "/_matrix/client/v3/account/whoami"},
		{"OPTIONS", "/_matrix/client/v3/register"},
		{"GET", "/_matrix/client"},
		{"GET", "/_matrix/client/R0/login"},
		{"GET", "//_matrix/client/r0/login"},
		{"GET", "/"},
	} {
		got := w.do(tc.method, tc.path, "", "")
		if got.status != 404 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s %s: got %d %q, want 404 and HTML", tc.method, tc.path, got.status, got.header.Get("Content-Type"))
		}
		if cors := got.header.Get("Access-Control-Allow-Origin"); cors != "" {
			t.Errorf("%s %s: got CORS %q on Twisted's page, want none", tc.method, tc.path, cors)
		}
		if !strings.Contains(got.raw, "<html>") {
			t.Errorf("%s %s: got body %q, want a page", tc.method, tc.path, got.raw)
		}
	}
}

func TestUnknownPathsAndMethodsInTheTreeAreA400(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	for _, tc := range []struct{ method, path string }{
		{"POST", "/_matrix/client/r0/account/3pid/add"},
		{"POST", "/_matrix/client/r0/account/3pid/bind"},
		{"POST", "/_matrix/client/r0/account/3pid/unbind"},
		{"GET", "/_matrix/client/r0/register"},
		{"DELETE", "/_matrix/client/r0/account/3pid"},
		{"POST", "/_matrix/client/r0/register/"},
		{"POST", "/_matrix/client/r0/%72egister"},
		{"POST", "/_matrix/client/%720/register"},
		{"POST", "/_matrix/client/r0//register"},
		{"POST", "/_matrix/client/v2_alpha/register"},
		{"POST", "/_matrix/client/api/v1/register"},
		{"GET", "/_matrix/client/versions/more"},
	} {
		got := w.do(tc.method, tc.path, "", "{}")
		if got.status != 400 || got.json["errcode"] != "M_UNRECOGNIZED" {
			t.Errorf("%s %s: got %d %s, want 400 M_UNRECOGNIZED", tc.method, tc.path, got.status, got.raw)
		}
	}
}

func TestPrefixesThatEachEndpointHas(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	for path, want := range map[string]int{
		"/_matrix/client/r0/login":                400, // there, but the body is empty
		"/_matrix/client/unstable/login":          400,
		"/_matrix/client/api/v1/login":            400,
		"/_matrix/client/unstable/account/whoami": 401,
		"/_matrix/client/api/v1/account/whoami":   400,
	} {
		method := "POST"
		if strings.HasSuffix(path, "whoami") {
			method = "GET"
		}
		if got := w.do(method, path, "", ""); got.status != want {
			t.Errorf("%s: got %d %s, want %d", path, got.status, got.raw, want)
		}
	}
	w.do("POST", "/_matrix/client/api/v1/login", "", "").wants(t, 400, "M_NOT_JSON")
	w.do("GET", "/_matrix/client/api/v1/account/whoami", "", "").wants(t, 400, "M_UNRECOGNIZED")
}

func TestEveryJSONAnswerHasSynapsesHeaders(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	for name, got := range map[string]reply{
		"a good answer": w.do("GET", "/_matrix/client/versions", "", ""),
		"an error":      w.post("/register", "", "{}"),
		"a pre-flight":  w.do("OPTIONS", r0+"/no/such/thing", "", ""),
	} {
		for key, want := range map[string]string{
			"Server":                       "Synapse/1.3.1",
			"Content-Type":                 "application/json",
			"Cache-Control":                "no-cache, no-store, must-revalidate",
			"Access-Control-Allow-Origin":  "*",
			"Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
			"Access-Control-Allow-Headers": "Origin, X-Requested-With, Content-Type, Accept, Authorization",
		} {
			if v := got.header.Values(key); len(v) != 1 || v[0] != want {
				t.Errorf("%s: %s: got %q, want it once as %q", name, key, v, want)
			}
		}
	}
}

func TestOptionsRunsNothing(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	body := w.fill(`{"email":"a@example.org","client_secret":"C","send_attempt":1,"id_server":"$IS"}`)
	got := w.do("OPTIONS", r0+"/register/email/requestToken", "", body)
	if got.status != 200 || got.raw != "{}" {
		t.Errorf("got %d %q, want 200 {}", got.status, got.raw)
	}
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls to the identity server, want none", n)
	}
}

func TestHeadIsNoGet(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	got := w.do("HEAD", "/_matrix/client/versions", "", "")
	if got.status != 400 || got.raw != "" {
		t.Errorf("got %d %q, want an empty 400", got.status, got.raw)
	}
}

func TestCurlGetsIndentedJSON(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	req, err := http.NewRequest("GET", w.url+"/_matrix/client/r0/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "curl/8")
	want := "{\n    \"flows\": [\n        {\n            \"type\": \"m.login.password\"\n        }\n    ]\n}\n"
	if got := w.send(req); got.raw != want {
		t.Errorf("got %q, want %q", got.raw, want)
	}
}

func TestBodiesThatAreNoJSONObject(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, ResetMode: fakehs.ResetRemote})
	for body, want := range map[string]string{
		"":              "M_NOT_JSON",
		"{":             "M_NOT_JSON",
		"{} {}":         "M_NOT_JSON",
		"{'a':1}":       "M_NOT_JSON",
		`{"a":1,}`:      "M_NOT_JSON",
		"{\"a\":\"\xff": "M_NOT_JSON",
		"[]":            "M_BAD_JSON",
		"null":          "M_BAD_JSON",
		`"x"`:           "M_BAD_JSON",
	} {
		for _, path := range []string{
			"/register", "/login", "/account/3pid", "/account/password", "/account/deactivate",
			"/register/email/requestToken", "/account/3pid/email/requestToken", "/account/password/email/requestToken",
		} {
			got := w.post(path, "", body)
			if got.status != 400 || got.json["errcode"] != want {
				t.Errorf("%s %q: got %d %s, want 400 %s", path, body, got.status, got.raw, want)
			}
		}
	}
}

func TestContentTypeIsIgnoredAndTheLastDuplicateKeyWins(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	w.hs.AddUser("alice", "right")
	req, err := http.NewRequest("POST", w.url+r0+"/login",
		strings.NewReader(`{"type":"m.login.password","user":"alice","password":"wrong","password":"right"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	w.send(req).wants(t, 200, "")
}
