// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

const evil = "evil.example:443"

// foreignCreds name a foreign identity server, beside what makes nobody look up
// a session of ours.
var foreignCreds = map[string]string{
	"sid unknown":       `{"sid":"x","client_secret":"s","id_server":"evil.example:443"}`,
	"sid missing":       `{"client_secret":"s","id_server":"evil.example:443"}`,
	"sid empty":         `{"sid":"","client_secret":"s","id_server":"evil.example:443"}`,
	"sid null":          `{"sid":null,"client_secret":"s","id_server":"evil.example:443"}`,
	"sid a number":      `{"sid":1,"client_secret":"s","id_server":"evil.example:443"}`,
	"sid a list":        `{"sid":["x"],"client_secret":"s","id_server":"evil.example:443"}`,
	"camel":             `{"sid":"","clientSecret":"s","idServer":"evil.example:443"}`,
	"alone":             `{"idServer":"evil.example:443"}`,
	"ours first":        `{"sid":"x","client_secret":"s","id_server":"localhost:8443","idServer":"evil.example:443"}`,
	"ours second":       `{"sid":"x","client_secret":"s","id_server":"evil.example:443","idServer":"localhost:8443"}`,
	"empty first":       `{"sid":"x","client_secret":"s","id_server":"","idServer":"evil.example:443"}`,
	"an array":          `[{"sid":"","client_secret":"s","id_server":"evil.example:443"}]`,
	"an array of two":   `[{"sid":"x","client_secret":"s"},{"sid":"","client_secret":"s","id_server":"evil.example:443"}]`,
	"in another case":   `{"sid":"","client_secret":"s","id_server":"Localhost:8443"}`,
	"the default port":  `{"sid":"","client_secret":"s","id_server":"localhost"}`,
	"space in the name": `{"sid":"","client_secret":"s","id_server":" localhost:8443"}`,
}

// foreignPlaces are where the credentials may stand, by path; %s is theirs.
var foreignPlaces = map[string][]string{
	"r0/account/password": {
		`{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":%s}}`,
		`{"new_password":"x","auth":{"type":"m.login.msisdn","threepidCreds":%s}}`,
		`{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"y","client_secret":"s","id_server":"localhost:8443"},"threepidCreds":%s}}`,
		`{"new_password":"x","auth":{"type":"m.login.email.identity","threePidCreds":%s}}`,
		`{"new_password":"x","auth":{"threepid_creds":%s}}`,
		`{"new_password":"x","auth":{"type":"m.login.dummy","threepid_creds":%s}}`,
		`{"new_password":"x","auth":{"type":null,"session":"u","threepid_creds":%s}}`,
		`{"new_password":"x","auth":{"type":5,"session":"u","threepid_creds":%s}}`,
		`{"new_password":"x","threepid_creds":%s}`,
		`{"new_password":"x","auth":null,"three_pid_creds":%s}`,
	},
	"v3/register": {
		`{"username":"mallory","auth":{"type":"m.login.email.identity","threepid_creds":%s}}`,
		`{"username":"mallory","auth":{"type":"m.login.recaptcha","threepid_creds":%s}}`,
	},
	"api/v1/register": {
		`{"type":"m.login.email.identity","threepidCreds":%s}`, `{"type":"m.login.email.identity","threepid_creds":%s}`,
	},
	"r0/account/3pid": {
		`{"three_pid_creds":%s}`, `{"threePidCreds":%s}`, `{"three_pid_creds":{"sid":"y","client_secret":"s"},"threePidCreds":%s}`,
		`{"threepidCreds":%s}`,
	},
	"v3/account/3pid/add":   {`{"sid":"x","client_secret":"s","auth":{"type":"m.login.email.identity","threepid_creds":%s}}`},
	"v3/account/deactivate": {`{"auth":{"type":"m.login.email.identity","threepid_creds":%s}}`},
	"r0/delete_devices": {
		`{"devices":[],"auth":{"type":"m.login.email.identity","threepid_creds":%s}}`,
		`{"devices":[],"auth":{"type":"m.login.password","threepidCreds":%s}}`,
		`{"devices":[],"\u0061uth":{"three\u0070id_creds":%s}}`,
	},
	"unstable/keys/device_signing/upload": {`{"master_key":{},"auth":{"session":"u","threepid_creds":%s}}`},
}

// TestR60_ForeignServersAreRefusedWhateverTheSid, on a homeserver that believes
// every identity server.
func TestR60_ForeignServersAreRefusedWhateverTheSid(t *testing.T) {
	r := newRig(t, options{hs: func(o *fakehs.Options) { o.TrustedIDServers = append(o.TrustedIDServers, evil) }})
	r.hs.AddUser("alice", "old", "alice@x.org")
	token := r.login("alice", "old")
	for name, creds := range foreignCreds {
		for path, places := range foreignPlaces {
			for _, place := range places {
				r.hs.ResetRecordings()
				body := strings.ReplaceAll(place, "%s", creds)
				rec := r.as(token, "POST", "/_matrix/client/"+path, body)
				wantError(t, rec, http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
				for _, req := range r.hs.Requests() {
					if req.Method == http.MethodPost && len(req.Body) > len("{}") {
						t.Errorf("%s, %s: the homeserver saw %s %s", name, body, req.Path, req.Body)
					}
				}
			}
		}
	}
	if calls := r.hs.IDServerCalls(); len(calls) != 0 {
		t.Errorf("the homeserver asked %+v", calls)
	}
}

// TestForeignServersBesideFlatCreds: the credentials of /account/3pid/add are
// members of the body, on a homeserver that has the endpoint and on one that
// has not.
func TestForeignServersBesideFlatCreds(t *testing.T) {
	for _, native := range []bool{false, true} {
		r := newRig(t, options{})
		r.hs.AddUser("alice", "old")
		token := r.login("alice", "old")
		seen := r.withAdd(native)
		for name, creds := range foreignCreds {
			if strings.HasPrefix(creds, "[") {
				continue
			}
			rec := r.as(token, "POST", "/_matrix/client/v3/account/3pid/add", creds)
			wantError(t, rec, http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
			if *seen != "" {
				t.Errorf("%s: the homeserver saw %s", name, *seen)
			}
		}
	}
}

// withAdd gives the homeserver an /account/3pid/add, if native, and returns what
// it was sent there.
func (r *rig) withAdd(native bool) *string {
	seen, legacy := new(string), r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !native || !strings.HasSuffix(req.URL.Path, "/3pid/add") {
			return legacy(w, req)
		}
		if req.Header.Get("Authorization") == "" {
			return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
		}
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil {
			return err
		}
		*seen = string(raw)
		return upstream(200, `{}`)(w, req)
	}
	return seen
}

// TestR17_R52_AForeignServerBesideASidOfOursIsIgnored: clients of before MSC2263
// name the one that they are configured with. It is not passed on.
func TestR17_R52_AForeignServerBesideASidOfOursIsIgnored(t *testing.T) {
	r := newRig(t, options{hs: func(o *fakehs.Options) { o.TrustedIDServers = append(o.TrustedIDServers, evil) }})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	creds := `{"sid":"` + sid + `","client_secret":"s","id_server":"` + evil + `"}`
	body := `{"new_password":"mine","auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `,"threepidCreds":` + creds + `}}`
	wantStatus(t, r.reset(strings.Replace(body, `"s","id_server"`, `"guess","id_server"`, 2)), http.StatusUnauthorized)
	wantStatus(t, r.reset(body), http.StatusOK)
	for _, req := range r.hs.Requests() {
		if strings.Contains(string(req.Body), evil) {
			t.Errorf("the homeserver saw %s", req.Body)
		}
	}
	if !r.hs.CheckPassword("alice", "mine") {
		t.Error("the password did not change")
	}
}

// TestAllowedServers may be named in credentials, one at a time.
func TestAllowedServers(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.TrustedIDServers = []string{"id.example"} }})
	for creds, errcode := range map[string]string{
		`{"sid":"x","client_secret":"s","id_server":"id.example"}`:                               "",
		`{"sid":"x","client_secret":"s","idServer":"id.example"}`:                                "",
		`{"sid":"x","client_secret":"s","id_server":"localhost:8443"}`:                           "",
		`{"sid":"x","client_secret":"s","id_server":null}`:                                       "",
		`{"sid":"x","client_secret":"s","id_server":"id.example","idServer":"localhost:8443"}`:   "M_INVALID_PARAM",
		`{"sid":"x","client_secret":"s","id_server":5}`:                                          "M_INVALID_PARAM",
		`{"sid":"x","client_secret":"s","id_server":["id.example"]}`:                             "M_INVALID_PARAM",
		`{"sid":"x","client_secret":"s","id_server":"id.example","idServer":"evil.example:443"}`: "M_SERVER_NOT_TRUSTED",
	} {
		rec := r.reset(`{"new_password":"x","auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}}`)
		if errcode != "" {
			wantError(t, rec, http.StatusBadRequest, errcode)
		} else if got := decoded(t, rec)["errcode"]; got == "M_SERVER_NOT_TRUSTED" && strings.Contains(creds, "localhost") {
			t.Errorf("%s: got %s", creds, rec.Body)
		} else if forwarded := r.hs.Requests(); len(forwarded) == 0 {
			t.Errorf("%s: was not passed on: %s", creds, rec.Body)
		}
		r.hs.ResetRecordings()
	}
}

// TestWhatOnlyOthersReadIsNotPassedOn: on a path that is none of ours, with an
// "auth" that we cannot see and a homeserver can.
func TestWhatOnlyOthersReadIsNotPassedOn(t *testing.T) {
	const auth = `"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"x","client_secret":"s","id_server":"` + evil + `"}}`
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	token := r.login("alice", "old")
	for _, body := range []string{
		`{"x":NaN,` + auth + `}`, "\ufeff{" + auth + `}`, `{"x":"\ud800",` + auth + `}`, `{"x":1e999,` + auth + `}`, `{` + auth + `,"auth":{}}`,
		strings.Replace("{"+auth+"}", "auth", "Auth", 1), strings.Replace("{"+auth+"}", "threepid_creds", "Threepid_Creds", 1),
		strings.Replace("{"+auth+"}", "id_server", "id_\u017ferver", 1), strings.Replace("{"+auth+"}", "id_server", "ID_SERVER", 1),
		strings.Join(strings.Split("{"+auth+"}", ""), "\x00") + "\x00",
	} {
		r.hs.ResetRecordings()
		rec := r.as(token, "POST", "/_matrix/client/r0/delete_devices", body)
		if errcode := decoded(t, rec)["errcode"]; rec.Code != http.StatusBadRequest || errcode != wire.CodeBadJSON && errcode != wire.CodeNotJSON {
			t.Errorf("%q: got %d %s, want it refused as bad JSON", body, rec.Code, rec.Body)
		}
		if got := r.hs.Requests(); len(got) != 0 {
			t.Errorf("%q: the homeserver saw %s", body, got[0].Body)
		}
	}
}
