// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// These tests do to the real Synapse what it is known to fall for. Numbers are
// the rows of our list of homeservers' pitfalls; docs/security.md names all of
// them. Where a control is cheap, the same is done past us first.

// direct is the homeserver without us.
func (w *world) direct() *stack.Client { return stack.NewClient(w.s.Direct) }

// TestPitfall02_AnotherUsersSession: whoever knows another user's sid and secret
// gets neither that user's address nor account by them.
func TestPitfall02_AnotherUsersSession(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		mallory := unique("mallory")
		w.register(mallory, mallory+"@example.test")
		thief := w.login(mallory, password)
		victim := w.login(name, password)
		second := "second." + email
		sid := w.validated("account/3pid", "s", second)
		body := stack.Object{"three_pid_creds": stack.Creds(sid, "s")}
		w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", victim, body)), http.StatusOK)
		// The session of the second address is used up, for everybody and at
		// every path.
		if a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", thief, body)); a.Status == http.StatusOK {
			t.Errorf("a session was used twice: %s", a.Body)
		}
		flat := stack.Creds(sid, "s")
		flat["auth"] = passwordStage("", mallory, password)
		if a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/3pid/add", thief, flat)); a.Status == http.StatusOK {
			t.Errorf("a session was used twice: %s", a.Body)
		}
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "thief"), http.StatusUnauthorized)
		w.wantOnly(victim, email, second)
		w.wantOnly(thief, mallory+"@example.test")
		w.login(name, password)
	})
}

func (w *world) wantOnly(token string, want ...string) {
	w.t.Helper()
	got := w.emails(token)
	if len(got) != len(want) {
		w.t.Fatalf("got addresses %q, want %q", got, want)
	}
	for _, email := range want {
		if !strings.Contains(strings.Join(got, " "), email) {
			w.t.Errorf("got addresses %q, want %q", got, want)
		}
	}
}

// TestPitfall05_AHomeserverThatTrustsEverybody: with the option that is for
// testing only, Synapse believes any identity server. What we stand in front of
// is not told of one.
func TestPitfall05_AHomeserverThatTrustsEverybody(t *testing.T) {
	t.Parallel()
	w := naiveStreet.site(t, 0, false)
	name := unique("victim")
	email := name + "@example.test"
	account, err := w.s.Homeserver.Register(t.Context(), name, password, false)
	if err != nil {
		t.Fatal(err)
	}

	var asked atomic.Int64
	evil := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"medium":"email","address":%q,"validated_at":1}`, email)
	}))
	defer evil.Close()
	creds := stack.Object{"sid": "x", "client_secret": "s", "id_server": strings.TrimPrefix(evil.URL, "https://")}
	// Past us, it is how the account gets its address.
	w.want(w.must(w.direct().Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", account.AccessToken, stack.Object{"three_pid_creds": creds})), http.StatusOK)
	asked.Store(0)
	for _, version := range []string{"r0", "v3", "unstable"} {
		for _, spelling := range []string{"threepid_creds", "threepidCreds"} {
			a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/"+version+"/account/password", "", stack.Object{
				"new_password": "thief", "auth": stack.Object{"type": "m.login.email.identity", spelling: creds},
			}))
			w.want(a, http.StatusBadRequest)
		}
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("the attacker's server was asked %d times", got)
	}
	w.login(name, password)
	// The same past us is what the option is worth.
	w.want(w.must(w.direct().Do(t.Context(), "POST", "/_matrix/client/r0/account/password", "", stack.Object{
		"new_password": "thief", "auth": stack.EmailAuth("", creds),
	})), http.StatusOK)
	w.login(name, "thief")
}

// TestPitfall09_BindFlags: Synapse would publish the address at the identity
// server that vouched for it, and fail after it had succeeded.
func TestPitfall09_BindFlags(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim() // by a registration with bind_email
		token := w.login(name, password)
		second := "bind." + email
		sid := w.validated("account/3pid", "s", second)
		w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", token, stack.Object{
			"three_pid_creds": stack.Creds(sid, "s"), "bind": true, "bind_email": true, "bind_msisdn": true,
		})), http.StatusOK)
		w.wantOnly(token, email, second)
		for line := range strings.Lines(w.s.Caddy.Logs()) {
			if strings.Contains(line, `"face":"identity","endpoint":"unknown"`) {
				t.Errorf("the homeserver has asked us for something else: %s", line)
			}
		}
	})
}

// TestPitfall10_UnbindIsAnsweredAtOnce: while an identity server fails, Synapse
// neither deletes an address nor deactivates an account.
func TestPitfall10_UnbindIsAnsweredAtOnce(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		token := w.login(name, password)
		for _, call := range []struct {
			path string
			body stack.Object
		}{
			{"3pid/delete", threepid(email)},
			{"deactivate", stack.Object{"auth": stack.Object{"type": "m.login.password", "user": name, "password": password}}},
		} {
			call.body["id_server"] = w.s.Identity // so that it asks us
			start := time.Now()
			a := w.want(w.must(w.direct().Do(t.Context(), "POST", "/_matrix/client/r0/account/"+call.path, token, call.body)), http.StatusOK)
			if got := a.Text("id_server_unbind_result"); got != "success" {
				t.Errorf("%s: got result %q, want that of our answer", call.path, got)
			}
			if took := time.Since(start); took > time.Minute { // Synapse itself would wait longer
				t.Errorf("%s took %s", call.path, took)
			}
		}
	})
}

// TestPitfall11_UnknownKeys: Synapse hands every key of a body to a function
// that knows four of them.
func TestPitfall11_UnknownKeys(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		email := unique("keys") + "@example.test"
		body := stack.Object{
			"client_secret": "s", "email": email, "send_attempt": 1, "id_server": w.s.Identity, "id_access_token": "t",
			"org.example.unknown": stack.Object{"a": 1}, "self": "x", "kwargs": nil,
		}
		path := "/account/3pid/email/requestToken"
		w.want(w.must(w.direct().Do(t.Context(), "POST", "/_matrix/client/r0"+path, "", body)), http.StatusInternalServerError)
		for _, version := range []string{"r0", "v3", "unstable"} {
			w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/"+version+path, "", body)), http.StatusOK)
		}
		w.link(email)
	})
}

// TestPitfall14_NoAdministratorsToken: such a token is worth every account; the
// list of users has their password hashes. So nothing here has one, or needs
// one, or lends one.
func TestPitfall14_NoAdministratorsToken(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		sid := w.validated("account/password", "s", email)
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "mine"), http.StatusOK)
		users := "/_synapse/admin/v1/users/@" + name + ":" + w.s.ServerName + "?probe=" + name
		user := w.login(name, "mine")
		for token, want := range map[string]int{"": http.StatusUnauthorized, user: http.StatusForbidden} {
			w.want(w.must(w.c.Do(t.Context(), "GET", users, token, nil)), want)
		}
		for line := range strings.Lines(w.s.Caddy.Logs()) {
			if strings.Contains(line, "/_synapse/admin") && !strings.Contains(line, "probe=") {
				t.Errorf("the module has used the administrators' API: %s", line)
			}
		}
		admin, err := w.s.Homeserver.Register(t.Context(), unique("admin"), password, true)
		if err != nil {
			t.Fatal(err)
		}
		a := w.want(w.must(w.direct().Do(t.Context(), "GET", users, admin.AccessToken, nil)), http.StatusOK)
		if !strings.Contains(a.Body, "password_hash") {
			t.Errorf("control: this homeserver tells an administrator %s", a.Body)
		}
	})
}

// TestPitfall17_NewPaths: Synapse 1.3.1 knows nothing of v3, and answers it with
// a page.
func TestPitfall17_NewPaths(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		for _, path := range []string{
			"register/email/requestToken", "account/password/email/requestToken", "account/3pid/email/requestToken",
			"register", "account/password", "account/3pid", "account/3pid/add", "account/3pid/bind", "account/3pid/unbind",
			"account/3pid/delete", "account/deactivate",
		} {
			v3 := "/_matrix/client/v3/" + path
			a := w.want(w.must(w.direct().Do(t.Context(), "POST", v3, "", stack.Object{})), http.StatusNotFound)
			if a.JSON != nil {
				t.Errorf("control: %s: got %s, want a page", path, a.Body)
			}
			if a := w.must(w.c.Do(t.Context(), "POST", v3, "", stack.Object{})); a.Status == http.StatusNotFound || a.JSON == nil {
				t.Errorf("%s: got %d %s, want an answer of the Matrix kind", path, a.Status, a.Body)
			}
		}
	})
}
