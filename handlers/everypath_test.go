// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
)

// everyPath are all paths that a client's script may call: those of the route table,
// under each prefix, and those of our own.
func everyPath(prefixes, versions []string) []string {
	paths := []string{linkPath, phonePath, "/_matrix/identity/api/v1/validate/msisdn/submitToken"}
	for _, prefix := range prefixes {
		paths = append(paths, prefix+"/versions")
		for _, version := range versions {
			for _, row := range route.Table {
				tail := strings.Join(row.Segments, "/")
				for _, medium := range []string{"email", "msisdn"} {
					path := prefix + "/" + version + "/" + strings.Replace(tail, "{medium}", medium, 1)
					if !slices.Contains(paths, path) {
						paths = append(paths, path)
					}
				}
			}
		}
	}
	return paths
}

// everyVersion are those that there have been, and one that there has not.
var everyVersion = []string{"r0", "v1", "v3", "unstable", "v2_alpha", "api/v1", "v99", "r0.6.1"}

func everythingRig(t *testing.T, opts options) *rig {
	t.Helper()
	before := opts.config
	opts.config = func(c *Config) {
		if before != nil {
			before(c)
		}
		c.IdentitySubmit = true
	}
	r, _ := phoneRig(t, opts)
	return r
}

// TestF22_F23_PreflightOfEveryPath: no script is kept from any of them, and asking has
// no effect and needs no token.
func TestF22_F23_PreflightOfEveryPath(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := everythingRig(t, opts)
		for _, path := range everyPath(DefaultPrefixes, everyVersion) {
			rec := r.do("OPTIONS", path, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
			if rec.Code/100 != 2 {
				t.Errorf("%s: got status %d, want 2xx", path, rec.Code)
			}
			wantCORS(t, rec)
		}
		if r.box.count() != 0 || len(r.hs.Requests()) != 0 {
			t.Errorf("OPTIONS had an effect: %d messages, %+v", r.box.count(), r.hs.Requests())
		}
	})
}

// TestF23_F24_F25_EveryAnswer: whatever an answer is, and whoever has given it, it has
// the CORS headers once and the type of JSON; and no body needs a Content-Type.
func TestF23_F24_F25_EveryAnswer(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, contentType := range []string{"", "text/plain", "application/octet-stream", "application/json; charset=utf-8"} {
			r := everythingRig(t, opts)
			r.hs.AddUser("alice", "secret", "alice@x.org")
			token := r.login("alice", "secret")
			for _, path := range everyPath([]string{"/_matrix/client"}, []string{"r0"}) {
				method := "POST"
				if strings.HasSuffix(path, "/versions") {
					method = "GET"
				}
				for _, body := range []string{``, `{`, `[]`, `{}`, validToken, phoneBody("s", "GB", "07400 123456", 1), `{"sid":"x","client_secret":"s","token":"1"}`} {
					rec := r.do(method, path, body, "Content-Type", contentType, "Authorization", "Bearer "+token)
					if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
						t.Errorf("%s %q: got %d with Content-Type %q, want JSON", path, body, rec.Code, got)
					}
					wantCORS(t, rec)
				}
			}
			wantStatus(t, r.do("POST", "/_matrix/client/r0/register/email/requestToken", validToken, "Content-Type", contentType), http.StatusOK)
		}
	})
}

// TestR7_R9_EveryEndpointUnderEveryVersion: all six, and each of their prefixes.
func TestR7_R9_EveryEndpointUnderEveryVersion(t *testing.T) {
	prefixes := append(slices.Clone(DefaultPrefixes), "/talk/api")
	for _, prefix := range prefixes {
		for _, version := range everyVersion {
			r := everythingRig(t, options{
				config: func(c *Config) { c.Prefixes = prefixes },
			})
			for _, purpose := range []string{"register", "account/password", "account/3pid"} {
				for medium, body := range map[string]string{"email": validToken, "msisdn": phoneBody("s", "GB", "07400 123456", 1)} {
					rec := r.do("POST", prefix+"/"+version+"/"+purpose+"/"+medium+"/requestToken", body)
					if sid, _ := decoded(t, rec)["sid"].(string); rec.Code != http.StatusOK || sid == "" {
						t.Errorf("%s %s %s %s: got %d %s", prefix, version, purpose, medium, rec.Code, rec.Body)
					}
				}
			}
			versions := r.do("GET", prefix+"/versions", "")
			if features, _ := decoded(t, versions)["unstable_features"].(map[string]any); features["m.require_identity_server"] != false {
				t.Errorf("%s: got versions %s", prefix, versions.Body)
			}
		}
	}
}
