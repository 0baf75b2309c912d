// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func TestR1_R12_R15_R23_R25_Register(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("alice")
		w.register(name, "Alice."+name+"@Example.test")
		token := w.login(name, password)
		if got, want := w.emails(token), []string{"alice." + name + "@example.test"}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
	})
}

func TestR3_R28_R32_F38_F39_ResetPassword(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("bob")
		email := name + "@example.test"
		w.register(name, email)
		old := w.login(name, password)
		sid := w.request("account/password", "secret", email)
		creds := stack.Creds(sid, "secret")
		w.want(w.reset(w.c, creds, "new password"), http.StatusUnauthorized)
		_, done, err := w.c.Click(t.Context(), w.link(email))
		w.want(w.must(done, err), http.StatusOK)
		w.want(w.reset(w.c, creds, "new password"), http.StatusOK)
		w.login(name, "new password")
		w.want(w.must(w.c.Login(t.Context(), name, password)), http.StatusForbidden)
		w.want(w.must(w.c.Do(t.Context(), "GET", "/_matrix/client/r0/account/whoami", old, nil)), http.StatusUnauthorized)
		w.want(w.reset(w.c, creds, "third password"), http.StatusUnauthorized)
		w.login(name, "new password")
	})
}

func TestR5_R50_R51_R52_R56_R57_AddEmail(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("carol")
		first, second := name+"@example.test", "second."+name+"@example.test"
		w.register(name, first)
		token := w.login(name, password)
		sid := w.request("account/3pid", "secret", second)
		body := stack.Object{
			"three_pid_creds": stack.Object{"sid": sid, "client_secret": "secret", "id_server": "vector.im", "id_access_token": "x"},
			"bind":            true,
		}
		early := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/3pid", token, body))
		if w.want(early, http.StatusBadRequest).Text("errcode") != "M_THREEPID_AUTH_FAILED" {
			t.Errorf("got %s", early.Body)
		}
		_, done, err := w.c.Click(t.Context(), w.link(second))
		w.want(w.must(done, err), http.StatusOK)
		w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/3pid", token, body)), http.StatusOK)
		got := w.emails(token)
		slices.Sort(got)
		if want := []string{first, second}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		// The new address works: it resets the password of this account.
		sid = w.validated("account/password", "again", second)
		w.want(w.reset(w.c, stack.Creds(sid, "again"), "by the second"), http.StatusOK)
		w.login(name, "by the second")
	})
}

func TestR19_R22_Versions(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		a := w.want(w.must(w.c.Do(t.Context(), "GET", "/_matrix/client/versions", "", nil)), http.StatusOK)
		features, _ := a.JSON["unstable_features"].(map[string]any)
		if features["m.require_identity_server"] != false || features["m.lazy_load_members"] != true {
			t.Errorf("got %s", a.Body)
		}
		direct := w.must(stack.NewClient(w.s.Direct).Do(t.Context(), "GET", "/_matrix/client/versions", "", nil))
		if len(a.JSON["versions"].([]any)) != len(direct.JSON["versions"].([]any)) {
			t.Errorf("got versions of %s, want those of %s", a.Body, direct.Body)
		}
	})
}

func TestR9_ChatPrefix(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		a := w.want(w.must(w.c.Do(t.Context(), "GET", "/chat/client/versions", "", nil)), http.StatusOK)
		if features, _ := a.JSON["unstable_features"].(map[string]any); features["m.require_identity_server"] != false {
			t.Errorf("got %s", a.Body)
		}
		email := unique("chat") + "@example.test"
		w.want(w.must(w.c.Do(t.Context(), "POST", "/chat/client/r0/register/email/requestToken", "",
			stack.Object{"client_secret": "s", "email": email, "send_attempt": 1})), http.StatusOK)
		w.link(email)
	})
}

func TestF14_F15_TheHomeserverDecides(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		if !w.callback {
			// Nobody is asked here; the homeserver refuses at completion.
			sid := w.validated("account/password", "s", unique("nobody")+"@example.test")
			w.want(w.reset(w.c, stack.Creds(sid, "s"), "x"), http.StatusNotFound)
			return
		}
		// It refuses, which the owner of the address is told, and no client.
		nobody := unique("nobody") + "@example.test"
		a := w.must(w.c.RequestToken(t.Context(), "r0", "account/password", "s", nobody))
		w.want(w.reset(w.c, stack.Creds(w.want(a, http.StatusOK).Text("sid"), "s"), "x"), http.StatusUnauthorized)
		w.notice(nobody, "No account")
	})
}
