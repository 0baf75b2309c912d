// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const (
	faceRequest   = "/_matrix/identity/api/v1/validate/email/requestToken"
	faceValidated = "/_matrix/identity/api/v1/3pid/getValidated3pid"
)

func (r *rig) ask(method, target, body, contentType, peer string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	req.RemoteAddr = peer
	rec := httptest.NewRecorder()
	r.face.ServeHTTP(rec, req)
	return rec
}

func (r *rig) local(method, target, body string) *httptest.ResponseRecorder {
	return r.ask(method, target, body, "application/json", "127.0.0.1:1")
}

func TestIdentityNeedsANonce(t *testing.T) {
	r := newRig(t, callback)
	rec := r.local("POST", faceRequest, `{"client_secret":"made_up","email":"a@x.org","send_attempt":1}`)
	wantError(t, rec, http.StatusForbidden, "M_FORBIDDEN")
	if r.box.count() != 0 {
		t.Error("a message was sent to an address that nobody asked for")
	}
}

func TestIdentityFormBodies(t *testing.T) {
	r := newRig(t, callback)
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil {
			return err
		}
		nonce, _, _ := mustObject(t, raw).Text("client_secret")
		other := url.Values{"client_secret": {nonce}, "email": {"b@x.org"}, "send_attempt": {"1"}}.Encode()
		wantError(t, r.ask("POST", faceRequest, other, "application/x-www-form-urlencoded", "127.0.0.1:1"), http.StatusForbidden, "M_FORBIDDEN")
		form := url.Values{"client_secret": {nonce}, "email": {"A@X.org"}, "send_attempt": {"1"}}.Encode()
		first := r.ask("POST", faceRequest, form, "application/x-www-form-urlencoded", "127.0.0.1:1")
		second := r.ask("POST", faceRequest, form, "application/x-form-www-urlencoded", "127.0.0.1:1")
		wantStatus(t, first, http.StatusOK)
		if first.Body.String() != second.Body.String() || r.box.count() != 1 {
			t.Errorf("a repeated call got %s after %s, with %d messages", second.Body, first.Body, r.box.count())
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, err = w.Write(first.Body.Bytes())
		return err
	}
	r.request("register", "s", "a@x.org")
}

func TestIdentityRefusalsAre200(t *testing.T) {
	r := newRig(t, options{})
	sid := r.validated("account/password", "s", "a@x.org")
	for _, query := range []string{"", "?sid=" + sid + "&client_secret=s", "?sid=00abc&client_secret=x", "?sid=zz&client_secret="} {
		rec := r.local("GET", faceValidated+query, "")
		wantStatus(t, rec, http.StatusOK)
		body := decoded(t, rec)
		if body["errcode"] != "M_SESSION_NOT_VALIDATED" || body["medium"] != nil {
			t.Errorf("%s: got %s", query, rec.Body)
		}
	}
}

func TestAliasLivesOnlyInFlight(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	var asked string
	for _, call := range r.hs.IDServerCalls() {
		asked = strings.TrimPrefix(call.URL, "https://localhost:8443")
	}
	if !strings.HasPrefix(asked, faceValidated+"?") {
		t.Fatalf("got call %s", asked)
	}
	if got := decoded(t, r.local("GET", asked, ""))["errcode"]; got != "M_SESSION_NOT_VALIDATED" {
		t.Errorf("the alias is still good after the request: %v", got)
	}
}

func TestIdentityPaths(t *testing.T) {
	r := newRig(t, options{})
	for _, path := range []string{"/_matrix/identity/api/v1/3pid/unbind", "/_matrix/identity/v2/3pid/unbind"} {
		rec := r.local("POST", path, `{"mxid":"@a:x","threepid":{}}`)
		wantStatus(t, rec, http.StatusOK)
		if got := rec.Body.String(); got != "{}" {
			t.Errorf("got %s, want {}", got)
		}
	}
	for _, path := range []string{
		"/", "/_matrix/identity/api/v1", "/_matrix/identity/v2/lookup", "/_matrix/identity/api/v1/3pid/bind",
		"/_matrix/identity/api/v1/store-invite", "/_matrix/identity/api/v1/pubkey/ed25519:0", linkPath,
		"/_matrix/client/r0/register/email/requestToken", "//_matrix/identity/api/v1/3pid/unbind",
	} {
		wantError(t, r.local("POST", path, "{}"), http.StatusNotFound, "M_UNRECOGNIZED")
	}
	wantError(t, r.local("GET", faceRequest, ""), http.StatusMethodNotAllowed, "M_UNRECOGNIZED")
	wantError(t, r.local("POST", "/_matrix/identity/api/v1/validate/msisdn/requestToken", "{}"), http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
}

func TestF20_IdentityBadInput(t *testing.T) {
	r := newRig(t, callback)
	for body, code := range map[string]string{
		"": "M_NOT_JSON", "[]": "M_BAD_JSON", "{}": "M_MISSING_PARAMS", `{"client_secret":"s"}`: "M_MISSING_PARAMS",
		`{"client_secret":1}`: "M_INVALID_PARAM", `{"client_secret":"s","email":"x"}`: "M_INVALID_EMAIL",
		`{"client_secret":"s","email":1}`: "M_INVALID_PARAM", `{"client_secret":1,"email":"a@x.org"}`: "M_INVALID_PARAM",
	} {
		wantError(t, r.local("POST", faceRequest, body), http.StatusBadRequest, code)
	}
	wantError(t, r.local("POST", faceRequest, `{"x":"`+strings.Repeat("x", DefaultMaxBody)+`"}`), http.StatusRequestEntityTooLarge, "M_TOO_LARGE")
	for _, form := range []string{"client_secret=s&email=a@x.org&email=b@x.org", "client_secret=%zz"} {
		if rec := r.ask("POST", faceRequest, form, formType, "127.0.0.1:1"); rec.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", form, rec.Code, rec.Body)
		}
	}
}

func TestIdentityIsNotForOutsiders(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) {
		c.IdentityAllow = append([]netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}, localNetworks...)
	}})
	for peer, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "172.18.0.2:1": 200, "203.0.113.7:1": 200, "[::ffff:127.0.0.1]:1": 200, "@": 200, "[fe80::1%eth0]:1": 200,
		"203.0.113.8:1": 404, "[2001:db8::1]:1": 404, "8.8.8.8:1": 404, "nonsense:x": 404,
	} {
		if got := r.ask("GET", faceValidated, "", "", peer).Code; got != want {
			t.Errorf("%s: got status %d, want %d", peer, got, want)
		}
	}
}

func TestIdentityBelowASecretPath(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.IdentityName = "localhost:8443/_idp/s3cret" }})
	wantStatus(t, r.local("GET", "/_idp/s3cret"+faceValidated, ""), http.StatusOK)
	wantError(t, r.local("GET", faceValidated, ""), http.StatusNotFound, "M_UNRECOGNIZED")
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"public_url path":      func(c *Config) { c.PublicURL = "https://x.org/matrix" },
		"public_url scheme":    func(c *Config) { c.PublicURL = "ftp://x.org" },
		"public_url host":      func(c *Config) { c.PublicURL = "https://" },
		"no identity_name":     func(c *Config) { c.IdentityName = "" },
		"identity_name port":   func(c *Config) { c.IdentityName = "localhost" },
		"identity_name URL":    func(c *Config) { c.IdentityName = "https://localhost:8443" },
		"prefix slash":         func(c *Config) { c.Prefixes = []string{"/a/"} },
		"prefix not canonical": func(c *Config) { c.Prefixes = []string{"/a//b"} },
		"next_link path":       func(c *Config) { c.NextLinkOrigins = []string{"https://x.org/app"} },
		"max_body":             func(c *Config) { c.MaxBody = -1 },
		"client_version":       func(c *Config) { c.UpstreamVersion = "r0 " },
	} {
		c := Config{PublicURL: "https://x.org", IdentityName: "localhost:8443"}
		if err := c.Normalize(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Normalize(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestIdentityIsAskedInOneWay: Dendrite puts the client's sid into the query as it came,
// so that another sid may stand behind it.
func TestIdentityIsAskedInOneWay(t *testing.T) {
	r := newRig(t, options{})
	for _, query := range []string{"sid=a&sid=b&client_secret=s", "sid=a&client_secret=s&client_secret=t", "sid=a;sid=b", "sid=%zz"} {
		wantError(t, r.local("GET", faceValidated+"?"+query, ""), http.StatusBadRequest, "M_INVALID_PARAM")
	}
	wantStatus(t, r.local("GET", faceValidated+"?sid=a&client_secret=s&x=1&x=2", ""), http.StatusOK)
}

// TestIdentityFailsIfItCannotSay: a homeserver takes a refusal for the client's fault,
// and gives up the session.
func TestIdentityFailsIfItCannotSay(t *testing.T) {
	broken := &brokenStore{}
	r := newRig(t, options{config: callback.config, service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
	broken.err = errors.New("disk is gone")
	for _, call := range r.hs.IDServerCalls() {
		rec := r.ask(call.Method, strings.TrimPrefix(call.URL, "https://localhost:8443"), string(call.Body), call.ContentType, "127.0.0.1:1")
		wantError(t, rec, http.StatusInternalServerError, "M_UNKNOWN")
	}
}

// TestIdentityBadNumbers: what is missing of one, or is none, is told as such.
func TestIdentityBadNumbers(t *testing.T) {
	const path = "/_matrix/identity/api/v1/validate/msisdn/requestToken"
	r, _ := phoneRig(t, options{})
	for body, code := range map[string]string{
		"": "M_NOT_JSON", `{"country":"GB","phone_number":"+447400123456"}`: "M_MISSING_PARAMS", `{"client_secret":"s","phone_number":"+447400123456"}`: "M_MISSING_PARAMS",
		`{"client_secret":"s","country":"GB"}`: "M_MISSING_PARAMS", `{"client_secret":"s","country":5,"phone_number":"+447400123456"}`: "M_INVALID_PARAM",
		`{"client_secret":"s","country":"GB","phone_number":"x"}`: "M_INVALID_ADDRESS",
	} {
		wantError(t, r.local("POST", path, body), http.StatusBadRequest, code)
	}
}
