// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	requestRegister = "/_matrix/client/r0/register/email/requestToken"
	requestAdd      = "/_matrix/client/r0/account/3pid/email/requestToken"
	requestPassword = "/_matrix/client/r0/account/password/email/requestToken"
	validateEmail   = "POST /_matrix/identity/api/v1/validate/email/requestToken"
	getValidated    = "GET /_matrix/identity/api/v1/3pid/getValidated3pid"
)

// token returns the body of a requestToken, with or without an id_server.
func token(address, idServer string) map[string]any {
	body := map[string]any{"client_secret": "a-client-secret", "email": address, "send_attempt": 1}
	if idServer != "" {
		body["id_server"] = idServer
	}
	return body
}

// logIn returns the answer to a login with a password.
func logIn(t *testing.T, s *Server, user, password string) answer {
	t.Helper()
	return do(t, s, http.MethodPost, "/_matrix/client/r0/login", "", map[string]any{
		"type": "m.login.password", "password": password,
		"identifier": map[string]any{"type": "m.id.user", "user": user},
	})
}

func TestStartRunsSynapse131(t *testing.T) {
	env := realEnv(t)
	begun := time.Now()
	s := start(t, Options{})
	t.Logf("%s answers after %s", env.Dir, time.Since(begun).Round(time.Millisecond))

	a := do(t, s, http.MethodGet, "/_matrix/client/versions", "", nil)
	wantStatus(t, a, http.StatusOK, "")
	if got, want := a.header.Get("Server"), "Synapse/1.3.1"; got != want {
		t.Errorf("Server: got %q, want %q", got, want)
	}
	versions, _ := a.body["versions"].([]any)
	if !slices.Contains(versions, any("r0.5.0")) || slices.Contains(versions, any("r0.6.0")) {
		t.Errorf("versions: got %v, want r0.5.0 as the last", versions)
	}
	if strings.Contains(a.raw, "m.require_identity_server") {
		t.Errorf("this Synapse knows m.require_identity_server already: %s", a.raw)
	}
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Errorf("URL: got %q, want one on loopback", s.URL())
	}
	if !strings.Contains(s.Logs(), "STARTING SERVER") {
		t.Errorf("Logs: got no start in\n%s", s.Logs())
	}
	if got := do(t, s, http.MethodGet, "/_matrix/federation/v1/version", "", nil).status; got != http.StatusNotFound {
		t.Errorf("federation: got %d, want no such resource", got)
	}
}

// TestFederation is what an identity server needs of a homeserver.
func TestFederation(t *testing.T) {
	s := start(t, Options{ServerName: "localhost:8448", Federation: true})
	a := do(t, s, http.MethodGet, "/_matrix/key/v2/server/", "", nil)
	wantStatus(t, a, http.StatusOK, "")
	if got, want := a.str("server_name"), "localhost:8448"; got != want || a.body["verify_keys"] == nil {
		t.Errorf("keys: got those of %q, want those of %q", got, want)
	}
	account, err := s.Register(t.Context(), "ada", "a password", false)
	if err != nil {
		t.Fatal(err)
	}
	a = do(t, s, http.MethodPost, "/_matrix/client/r0/user/"+account.UserID+"/openid/request_token", account.AccessToken, map[string]any{})
	wantStatus(t, a, http.StatusOK, "")
	userinfo := "/_matrix/federation/v1/openid/userinfo?access_token="
	if got := do(t, s, http.MethodGet, userinfo+a.str("access_token"), "", nil).str("sub"); got != account.UserID {
		t.Errorf("userinfo: got %q, want %q", got, account.UserID)
	}
	wantStatus(t, do(t, s, http.MethodGet, userinfo+account.AccessToken, "", nil), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
}

func TestRegisterAndLogIn(t *testing.T) {
	s := start(t, Options{ServerName: "example.test", DisableRegistration: true})

	if a := do(t, s, http.MethodPost, "/_matrix/client/r0/register", "", map[string]any{}); a.status != http.StatusForbidden {
		t.Errorf("public registration: got %d, want 403\n%s", a.status, a.raw)
	}
	for _, tc := range []struct {
		name  string
		admin bool
		users int
	}{
		{"ada", true, http.StatusOK},
		{"bob", false, http.StatusForbidden},
	} {
		account, err := s.Register(t.Context(), tc.name, "password of "+tc.name, tc.admin)
		if err != nil {
			t.Fatalf("Register %s: %v", tc.name, err)
		}
		if got, want := account.UserID, "@"+tc.name+":example.test"; got != want {
			t.Errorf("user: got %q, want %q", got, want)
		}
		list := "/_synapse/admin/v1/users/" + account.UserID
		if got := do(t, s, http.MethodGet, list, account.AccessToken, nil).status; got != tc.users {
			t.Errorf("%s asks the admin API: got %d, want %d", tc.name, got, tc.users)
		}
		a := logIn(t, s, tc.name, "password of "+tc.name)
		wantStatus(t, a, http.StatusOK, "")
		a = do(t, s, http.MethodGet, "/_matrix/client/r0/account/whoami", a.str("access_token"), nil)
		if got := a.str("user_id"); got != account.UserID {
			t.Errorf("whoami: got %q, want %q", got, account.UserID)
		}
	}
	if _, err := s.Register(t.Context(), "ada", "again", false); err == nil || !strings.Contains(err.Error(), "M_USER_IN_USE") {
		t.Errorf("second ada: got error %v, want M_USER_IN_USE", err)
	}
	wantStatus(t, logIn(t, s, "ada", "wrong"), http.StatusForbidden, "M_FORBIDDEN")
}

// TestNotThrottled does what Synapse's default limits refuse at the fourth time.
func TestNotThrottled(t *testing.T) {
	s, name := sharedPlain(t), strings.ToLower(rand.Text())
	for i := range 12 {
		a := do(t, s, http.MethodPost, "/_matrix/client/r0/register", "", map[string]any{
			"username": fmt.Sprint(name, i), "password": "a password", "auth": map[string]any{"type": "m.login.dummy"},
		})
		wantStatus(t, a, http.StatusOK, "")
		wantStatus(t, logIn(t, s, a.str("user_id"), "a password"), http.StatusOK, "")
	}
}

func TestRegistrationFlows(t *testing.T) {
	for _, tc := range []struct {
		name    string
		server  func(*testing.T) *Server
		without bool // a flow without the email stage is offered
	}{
		{"email is a choice", sharedPlain, true},
		{"email is required", func(t *testing.T) *Server { return start(t, Options{RequireEmail: true}) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.server(t)
			a := do(t, s, http.MethodPost, "/_matrix/client/r0/register", "", map[string]any{"username": strings.ToLower(rand.Text()), "password": "a password"})
			wantStatus(t, a, http.StatusUnauthorized, "")
			var with, without bool
			flows, _ := a.body["flows"].([]any)
			for _, flow := range flows {
				if strings.Contains(fmt.Sprint(flow), "m.login.email.identity") {
					with = true
				} else {
					without = true
				}
			}
			if !with || without != tc.without {
				t.Errorf("flows: got %v", flows)
			}
		})
	}
}

// TestAsksTrustedIdentityServer proves what the module stands on: with nothing
// but configuration, Synapse takes our word, over TLS, at a name with a port.
func TestAsksTrustedIdentityServer(t *testing.T) {
	const address = "ada@example.test"
	is := newIdentityServer(t, address)
	opts := Options{
		Dir: t.TempDir(), TrustedIDServers: []string{is.name}, CAFile: newIdentityServer(t, address).caFile, CAFiles: []string{is.caFile},
		ResetTrust: true, RequireEmail: true,
		AllowedLocal3PIDs: []LocalPattern{{Medium: "email", Pattern: `.*@example\.test`}},
	}
	s := start(t, opts)

	t.Run("request", func(t *testing.T) {
		for _, path := range []string{requestRegister, requestAdd} {
			a := do(t, s, http.MethodPost, path, "", token(address, is.name))
			wantStatus(t, a, http.StatusOK, "")
			if got, want := a.str("sid"), "sid-of-the-identity-server"; got != want {
				t.Errorf("%s: got sid %q, want %q", path, got, want)
			}
			seen := is.seen()
			if len(seen) != 1 || seen[0].line != validateEmail || seen[0].body["email"] != address ||
				seen[0].body["client_secret"] != "a-client-secret" || seen[0].userAgent != "Synapse/1.3.1" {
				t.Errorf("%s: the identity server got %+v", path, seen)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for _, tc := range []struct {
			name, path, address, idServer, errcode string
		}{
			{"untrusted", requestRegister, address, "matrix.org", "M_SERVER_NOT_TRUSTED"},
			{"without the port", requestRegister, address, "localhost", "M_SERVER_NOT_TRUSTED"},
			{"other spelling", requestAdd, address, strings.ToUpper(is.name), "M_SERVER_NOT_TRUSTED"},
			{"no id_server", requestRegister, address, "", "M_MISSING_PARAM"},
			{"unknown address", requestPassword, address, is.name, "M_THREEPID_NOT_FOUND"},
		} {
			a := do(t, s, http.MethodPost, tc.path, "", token(tc.address, tc.idServer))
			if a.status != http.StatusBadRequest || a.str("errcode") != tc.errcode {
				t.Errorf("%s: got %d %s, want 400 %s", tc.name, a.status, a.str("errcode"), tc.errcode)
			}
		}
		a := do(t, s, http.MethodPost, requestRegister, "", token("ada@example.org", is.name))
		wantStatus(t, a, http.StatusForbidden, "M_THREEPID_DENIED")
		if seen := is.seen(); len(seen) != 0 {
			t.Errorf("the identity server got %+v, want nothing", seen)
		}
	})
	t.Run("completion", func(t *testing.T) { completes(t, s, is, address) })
	t.Run("restart", func(t *testing.T) {
		s.Stop()
		again := start(t, opts)
		wantStatus(t, logIn(t, again, "ada", "second password"), http.StatusOK, "")
	})
}

// completes registers with an address and then resets the password by it.
func completes(t *testing.T, s *Server, is *identityServer, address string) {
	creds := map[string]any{"sid": "a-sid", "client_secret": "a-client-secret", "id_server": is.name}
	auth := map[string]any{"type": "m.login.email.identity", "threepid_creds": creds}
	a := do(t, s, http.MethodPost, "/_matrix/client/r0/register", "",
		map[string]any{"username": "ada", "password": "first password", "auth": auth})
	wantStatus(t, a, http.StatusOK, "")
	seen := is.seen()
	if len(seen) != 1 || seen[0].line != getValidated || seen[0].query.Get("sid") != "a-sid" ||
		seen[0].query.Get("client_secret") != "a-client-secret" {
		t.Errorf("register: the identity server got %+v", seen)
	}
	a = do(t, s, http.MethodGet, "/_matrix/client/r0/account/3pid", a.str("access_token"), nil)
	if !strings.Contains(a.raw, `"`+address+`"`) {
		t.Errorf("addresses: got %s, want %s in it", a.raw, address)
	}
	a = do(t, s, http.MethodPost, requestRegister, "", token(address, is.name))
	wantStatus(t, a, http.StatusBadRequest, "M_THREEPID_IN_USE")

	wantStatus(t, do(t, s, http.MethodPost, requestPassword, "", token(address, is.name)), http.StatusOK, "")
	a = do(t, s, http.MethodPost, "/_matrix/client/r0/account/password", "",
		map[string]any{"new_password": "second password", "auth": auth})
	wantStatus(t, a, http.StatusOK, "")
	wantStatus(t, logIn(t, s, "ada", "first password"), http.StatusForbidden, "M_FORBIDDEN")
	wantStatus(t, logIn(t, s, "ada", "second password"), http.StatusOK, "")
}

// TestWithoutTrust is the other side: what fails when an option is left out,
// so that the test above cannot pass for another reason.
func TestWithoutTrust(t *testing.T) {
	is := newIdentityServer(t, "ada@example.test")
	s := start(t, Options{TrustedIDServers: []string{is.name}})

	a := do(t, s, http.MethodPost, requestRegister, "", token("ada@example.test", is.name))
	wantStatus(t, a, http.StatusInternalServerError, "M_UNKNOWN")
	if seen := is.seen(); len(seen) != 0 {
		t.Errorf("a server that does not know the authority asked all the same: %+v", seen)
	}
	a = do(t, s, http.MethodPost, requestPassword, "", token("ada@example.test", is.name))
	wantStatus(t, a, http.StatusBadRequest, "M_UNKNOWN")
	if !strings.Contains(a.str("error"), "disabled") {
		t.Errorf("password reset: got %q, want it disabled", a.str("error"))
	}
	a = do(t, s, http.MethodPost, requestRegister, "", token("ada@example.test", "matrix.org"))
	wantStatus(t, a, http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
}
