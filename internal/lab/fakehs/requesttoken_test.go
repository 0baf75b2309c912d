// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// The three purposes; register and 3pid are the same but for a message.
var forNew = []string{"/register/email/requestToken", "/account/3pid/email/requestToken"}

const resetPath = "/account/password/email/requestToken"

func ask(email, more string) string {
	return `{"client_secret":"C1","send_attempt":1,"id_server":"$IS","email":"` + email + `"` + more + `}`
}

func TestRequestTokenNamesEveryMissingKey(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetRemote})
	for _, path := range forNew {
		got := w.post(path, "", `{"email":"a@example.org","next_link":"https://x.example"}`)
		got.isJSON(t, `{"errcode":"M_MISSING_PARAM","error":"Missing params: ['id_server', 'client_secret', 'send_attempt']"}`)
		got.wants(t, 400, "M_MISSING_PARAM")
	}
	got := w.post(resetPath, "", `{"email":"a@example.org"}`)
	got.isJSON(t, `{"errcode":"M_MISSING_PARAM","error":"Missing params: ['client_secret', 'send_attempt']"}`)
}

func TestRequestTokenChecksInSynapsesOrder(t *testing.T) {
	w := newWorld(t, fakehs.Options{
		ResetMode: fakehs.ResetRemote, AllowedLocal3PIDs: []string{`.*@example\.org$`, `vip@`},
	})
	w.hs.AddUser("alice", "pw", "alice@example.org")
	w.hs.AddUser("mallory", "pw", "m@elsewhere.net")
	untrusted := func(email, more string) string {
		return strings.ReplaceAll(ask(email, more), "$IS", "probe.invalid")
	}
	for _, path := range forNew {
		for _, tc := range []struct {
			name, body string
			status     int
			errcode    string
		}{
			{"denied comes before in use", untrusted("m@elsewhere.net", ""), 403, "M_THREEPID_DENIED"},
			{"a pattern is matched at the start", untrusted("not-vip@elsewhere.net", ""), 403, "M_THREEPID_DENIED"},
			{"a pattern need not match the end", untrusted("vip@elsewhere.net", ""), 400, "M_SERVER_NOT_TRUSTED"},
			{"in use comes before trust", untrusted("alice@example.org", ""), 400, "M_THREEPID_IN_USE"},
			{"in use comes before unknown keys", untrusted("alice@example.org", `,"x":1`), 400, "M_THREEPID_IN_USE"},
			{"unknown keys come before trust", untrusted("bob@example.org", `,"x":1`), 500, "M_UNKNOWN"},
			{"trust comes last", untrusted("bob@example.org", ""), 400, "M_SERVER_NOT_TRUSTED"},
			{"another case is not in use", untrusted("Alice@example.org", ""), 400, "M_SERVER_NOT_TRUSTED"},
		} {
			t.Run(path+"/"+tc.name, func(t *testing.T) {
				w.post(path, "", tc.body).wants(t, tc.status, tc.errcode)
			})
		}
	}
	if n := len(w.hs.IDServerCalls()); n != 0 {
		t.Errorf("got %d calls to an identity server, want none before trust", n)
	}
}

func TestRequestTokenForResetChecksInSynapsesOrder(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetRemote, AllowedLocal3PIDs: []string{`.*@example\.org`}})
	w.hs.AddUser("alice", "pw", "Alice@Example.org")
	for _, tc := range []struct {
		name, body string
		status     int
		errcode    string
	}{
		{"denied comes before not found", ask("x@elsewhere.net", ""), 403, "M_THREEPID_DENIED"},
		{"unknown address", ask("bob@example.org", ""), 400, "M_THREEPID_NOT_FOUND"},
		{"stored lower, looked up as sent", ask("ALICE@example.org", ""), 400, "M_THREEPID_NOT_FOUND"},
		{"id_server is missed late", `{"client_secret":"C","send_attempt":1,"email":"alice@example.org"}`, 400, "M_UNKNOWN"},
		{"untrusted", strings.ReplaceAll(ask("alice@example.org", ""), "$IS", "x"), 400, "M_SERVER_NOT_TRUSTED"},
		{"unknown keys do no harm here", ask("alice@example.org", `,"id_access_token":"T"`), 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) { w.post(resetPath, "", tc.body).wants(t, tc.status, tc.errcode) })
	}
}

func TestRequestTokenForResetWhenOffAnswersBeforeAnythingElse(t *testing.T) {
	w := newWorld(t, fakehs.Options{}) // off is the default
	for _, body := range []string{"not JSON", "{}", ask("a@example.org", "")} {
		w.post(resetPath, "", body).isJSON(t,
			`{"errcode":"M_UNKNOWN","error":"Email-based password resets have been disabled on this server"}`)
	}
}

func TestRequestTokenForwardsFourFieldsAsCanonicalJSON(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetRemote})
	w.hs.AddUser("alice", "pw", "alice@example.org")
	cases := []struct{ path, body, want string }{
		{
			forNew[0], ask("bob@example.org", `,"next_link":"https://x.example/?a&b"`),
			`{"client_secret":"C1","email":"bob@example.org","next_link":"https://x.example/?a&b","send_attempt":1}`,
		},
		{
			forNew[1], ask("bob@example.org", `,"next_link":""`),
			`{"client_secret":"C1","email":"bob@example.org","send_attempt":1}`,
		},
		{
			resetPath, ask("alice@example.org", `,"id_access_token":"T","x":2`),
			`{"client_secret":"C1","email":"alice@example.org","send_attempt":1}`,
		},
		{
			forNew[0], `{"id_server":"$IS","email":7,"client_secret":"é","send_attempt":"1"}`,
			`{"client_secret":"é","email":7,"send_attempt":"1"}`,
		},
	}
	for i, tc := range cases {
		w.post(tc.path, "", tc.body).isJSON(t, `{"sid":"S1"}`)
		calls := w.is.calls(askPath)
		if len(calls) != i+1 {
			t.Fatalf("got %d calls, want %d", len(calls), i+1)
		}
		got := calls[i]
		if got.method != "POST" || got.body != tc.want {
			t.Errorf("got %s %s, want POST %s", got.method, got.body, tc.want)
		}
		if ct, ua := got.header.Get("Content-Type"), got.header.Get("User-Agent"); ct != "application/json" || ua != "Synapse/1.3.1" {
			t.Errorf("got Content-Type %q and User-Agent %q, want JSON from Synapse/1.3.1", ct, ua)
		}
		if auth := got.header.Get("Authorization"); auth != "" {
			t.Errorf("got Authorization %q sent on, want none", auth)
		}
	}
}

func TestRequestTokenRelaysWhatTheIdentityServerSays(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   int
		answer string
	}{
		{
			"extra keys stay", 200, `{"sid":"S","submit_url":"https://a.example/s?x&y","n":12345678901234567890}`,
			200, `{"sid":"S","submit_url":"https://a.example/s?x&y","n":12345678901234567890}`,
		},
		{"any 2xx", 202, `{"sid":"S"}`, 200, `{"sid":"S"}`},
		{"any JSON", 200, `["sid"]`, 200, `["sid"]`},
		{
			"an error keeps status and fields", 429, `{"errcode":"M_LIMIT_EXCEEDED","error":"slow","retry_after_ms":99}`,
			429, `{"errcode":"M_LIMIT_EXCEEDED","error":"slow","retry_after_ms":99}`,
		},
		{
			"an error without a text", 400, `{"errcode":"M_INVALID_EMAIL"}`,
			400, `{"errcode":"M_INVALID_EMAIL","error":"Bad Request"}`,
		},
		{"no JSON in an error", 502, "<html>", 502, `{"errcode":"M_UNKNOWN","error":"Bad Gateway"}`},
		{"a list in an error", 403, "[1]", 403, `{"errcode":"M_UNKNOWN","error":"Forbidden"}`},
		{"no JSON in a 2xx", 200, "fine", 500, `{"errcode":"M_UNKNOWN","error":"Internal server error"}`},
		{"the redirect of a POST", 307, askPath, 500, `{"errcode":"M_UNKNOWN","error":"Internal server error"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.is.answer(askPath, tc.status, tc.body)
			got := w.post(forNew[0], "", ask("bob@example.org", ""))
			if got.status != tc.want {
				t.Errorf("got %d, want %d", got.status, tc.want)
			}
			got.isJSON(t, tc.answer)
		})
	}
}

func TestTrustIsByteExactAndHTTPSOnly(t *testing.T) {
	dead := newIDServer(t)
	dead.Close() // a port where nobody listens
	w := newWorld(t, fakehs.Options{TrustedIDServers: []string{"is.example", dead.name}})
	host, port, _ := strings.Cut(w.is.name, ":")
	for _, tc := range []struct {
		idServer string
		status   int
		errcode  string
	}{
		{`"$IS"`, 200, ""},
		{`"$IS/"`, 400, "M_SERVER_NOT_TRUSTED"},
		{`"https://$IS"`, 400, "M_SERVER_NOT_TRUSTED"},
		{`"IS.example"`, 400, "M_SERVER_NOT_TRUSTED"},
		{`"` + host + `"`, 400, "M_SERVER_NOT_TRUSTED"},
		{`" ` + host + ":" + port + `"`, 400, "M_SERVER_NOT_TRUSTED"},
		{`null`, 400, "M_SERVER_NOT_TRUSTED"},
		{`7`, 400, "M_SERVER_NOT_TRUSTED"},
		{`{}`, 500, "M_UNKNOWN"},
		{`"` + dead.name + `"`, 500, "M_UNKNOWN"},
	} {
		body := `{"client_secret":"C","send_attempt":1,"email":"b@example.org","id_server":` + tc.idServer + `}`
		got := w.post(forNew[0], "", body)
		if code, _ := got.json["errcode"].(string); got.status != tc.status || code != tc.errcode {
			t.Errorf("id_server %s: got %d %s, want %d %q", tc.idServer, got.status, got.raw, tc.status, tc.errcode)
		}
	}
}

func TestACertificateThatIsNotTrustedIsA500(t *testing.T) {
	w := newWorld(t, fakehs.Options{})
	hs := fakehs.New(fakehs.Options{TrustedIDServers: []string{w.is.name}}) // no CA
	other := serve(t, hs)
	got := other.do("POST", r0+forNew[0], "", w.fill(ask("b@example.org", "")))
	got.wants(t, 500, "M_UNKNOWN")
	calls := hs.IDServerCalls()
	if len(calls) != 1 || calls[0].Err == nil || calls[0].Status != 0 {
		t.Errorf("got %+v, want one call that failed before an answer", calls)
	}
}

func TestAPathPrefixInIDServerWorks(t *testing.T) {
	is := newIDServer(t)
	name := is.name + "/_idp/s3cret"
	is.answer("/_idp/s3cret"+askPath, 200, `{"sid":"P"}`)
	w := serve(t, fakehs.New(fakehs.Options{TrustedIDServers: []string{name}, HTTPClient: is.Client()}))
	w.do("POST", r0+forNew[0], "", strings.ReplaceAll(ask("b@example.org", ""), "$IS", name)).isJSON(t, `{"sid":"P"}`)
}
