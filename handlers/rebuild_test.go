// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// TestForwardedBodiesAreMadeAnew: on a path of ours, the homeserver gets what we
// have read, in the spelling that it knows, and nothing else. The sessions are
// none of ours.
func TestForwardedBodiesAreMadeAnew(t *testing.T) {
	const both = `{"threepidCreds":{"client_secret":"s","sid":"theirs"},"threepid_creds":{"client_secret":"s","sid":"theirs"},"type":"m.login.email.identity"}`
	for _, c := range []struct{ path, body, want string }{
		{
			"r0/account/password",
			` { "auth" : {"type":"m.login.email.identity", "threepid_creds":{"client_secret":"s","sid":"theirs","x":1}, "x":2},` + "\n" + `"n":1.50}`,
			`{"auth":` + both + `}`,
		},
		{
			"v3/account/password",
			`{"new_password":"<&>\u2028","logout_devices":false,"auth":{"type":"m.login.email.identity","threepidCreds":[{"clientSecret":"s","sid":"theirs"}]},"new_password_hash":"x"}`,
			`{"auth":` + both + `,"logout_devices":false,"new_password":"<&>\u2028"}`,
		},
		{
			"r0/account/password",
			`{"new_password":"x","auth":{"type":"m.login.password","user":"a","password":"b","own":[1.50],"threepid_creds":{"sid":"x"},"threePidCreds":1,"session":"u"},"three_pid_creds":{}}`,
			`{"auth":{"own":[1.50],"password":"b","type":"m.login.password","user":"a"},"new_password":"x"}`, // see dropLegacySession
		},
		{
			"r0/register",
			` {"b":2,"a":"ü\u00fc<>&","auth":{"type":"m.login.dummy"},"bind_email":true,"three_pid_creds":{"sid":"x"},"threepid_creds":{},"id_server":"x","sid":1} `,
			`{"a":"ü\u00fc<>&","auth":{"type":"m.login.dummy"},"b":2}`,
		},
		{
			"api/v1/register", `{"type":"m.login.email.identity","threepidCreds":{"clientSecret":"s","sid":"theirs","x":1},"three_pid_creds":1,"session":"u","bind_email":true,"bind_msisdn":true}`,
			`{"session":"u","threepidCreds":{"client_secret":"s","sid":"theirs"},"threepid_creds":{"client_secret":"s","sid":"theirs"},"type":"m.login.email.identity"}`,
		},
		{
			"r0/account/3pid", `{"three_pid_creds":{"sid":"theirs","client_secret":"s","id_access_token":"t","bind":true},"x":12345678901234567890,"bind":true,"threepid_creds":{}}`,
			`{"threePidCreds":{"client_secret":"s","sid":"theirs"},"three_pid_creds":{"client_secret":"s","sid":"theirs"}}`,
		},
		{
			"r0/account/3pid", `{"threePidCreds":{"sid":"","client_secret":"s","id_server":"localhost:8443"}}`,
			`{"threePidCreds":{"client_secret":"s","id_server":"localhost:8443","sid":""},"three_pid_creds":{"client_secret":"s","id_server":"localhost:8443","sid":""}}`,
		},
		{"r0/account/3pid", `{"bind":false}`, `{}`},
		{"r0/account/deactivate", `{"erase":true,"auth":{"session":"u"},"id_access_token":"t","x":{"y":1}}`, `{"auth":{"session":"u"},"erase":true}`},
	} {
		r := newRig(t, options{})
		_, endpoint := versionOf(c.path)
		rec := r.do("POST", "/_matrix/client/"+c.path, r.inConversation(c.body, "u", endpoint), "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "identity")
		got := r.hs.Requests()
		if len(got) != 1 || string(got[0].Body) != c.want {
			t.Errorf("%s: the homeserver saw %d requests, want one with\n%s; got\n%s\n%s", c.path, len(got), c.want, bodies(got), rec.Body)
			continue
		}
		if header := got[0].Header; header.Get("Content-Type") != "application/json" || header.Get("Content-Encoding") != "" {
			t.Errorf("%s: got headers %v, want those of JSON", c.path, header)
		}
	}
}

// TestAddIsMadeAnewWhereTheHomeserverHasIt, for sessions of its own.
func TestAddIsMadeAnewWhereTheHomeserverHasIt(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old")
	token := r.login("alice", "old")
	seen := r.withAdd(true)
	body := `{"sid":"theirs","clientSecret":"s","bind":true,"id_access_token":"t","auth":{"session":"u"}}`
	rec := r.as(token, "POST", "/_matrix/client/v3/account/3pid/add", r.inConversation(body, "u", route.TailAdd))
	wantStatus(t, rec, http.StatusOK)
	if want := `{"auth":{"session":"u"},"client_secret":"s","sid":"theirs"}`; *seen != want {
		t.Errorf("the homeserver saw %s, want %s", *seen, want)
	}
	without := `{"sid":"theirs","auth":{"session":"u"}}`
	wantStatus(t, r.as(token, "POST", "/_matrix/client/v3/account/3pid/add", r.inConversation(without, "u", route.TailAdd)), http.StatusOK)
	if want := `{"auth":{"session":"u"},"sid":"theirs"}`; *seen != want {
		t.Errorf("the homeserver saw %s, want %s", *seen, want)
	}
}

// TestSubstitutedBodiesAreMadeAnew: of a session of ours, too.
func TestSubstitutedBodiesAreMadeAnew(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	body := strings.Replace(resetBody(sid, "s"), `"new_password"`, `"extra":{"sid":"x"},"new_password"`, 1)
	body = strings.Replace(body, `"type"`, `"more":1,"type"`, 1)
	wantStatus(t, r.reset(body), http.StatusOK)
	forwarded := bodies(r.hs.Requests())
	for _, no := range []string{"extra", "more", sid} {
		if strings.Contains(forwarded, no) {
			t.Errorf("the homeserver saw %s, want no %q in it", forwarded, no)
		}
	}
}

// bodies are those of some requests, one after the other.
func bodies(requests []fakehs.Request) string {
	var all []string
	for _, req := range requests {
		all = append(all, string(req.Body))
	}
	return strings.Join(all, "\n")
}
