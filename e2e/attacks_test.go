// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// victim makes an account and returns its name and address.
func (w *world) victim() (name, email string) {
	w.t.Helper()
	name = unique("victim")
	email = name + "@example.test"
	w.register(name, email)
	return name, email
}

func TestAttack_RegisterSessionResetsAPassword(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		purpose, target := "register", email
		if w.callback {
			// The homeserver refuses a register session for a known address, so
			// the strongest session to be had is one for adding another address.
			target = "other." + email
		}
		sid := w.validated(purpose, "s", target)
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "thief"), http.StatusUnauthorized)
		w.login(name, password)
	})
}

func TestAttack_SessionUsedTwice(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		sid := w.validated("account/password", "s", email)
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "mine"), http.StatusOK)
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "thief"), http.StatusUnauthorized)
		w.login(name, "mine")
	})
}

func TestAttack_AnotherClientSecret(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		sid := w.validated("account/password", "s", email)
		w.want(w.reset(w.c, stack.Creds(sid, "guess"), "thief"), http.StatusUnauthorized)
		w.login(name, password)
	})
}

func TestR26_Attack_ForeignIdentityServer(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		evil := stack.Object{"sid": "evil", "client_secret": "s", "id_server": "evil.example.com"}
		a := w.want(w.reset(w.c, evil, "thief"), http.StatusBadRequest)
		if a.Text("errcode") != "M_SERVER_NOT_TRUSTED" {
			t.Errorf("got %s", a.Body)
		}
		// Naming it next to a session of ours that nobody confirmed is no better.
		sid := w.request("account/password", "s", email)
		w.want(w.reset(w.c, stack.Object{"sid": sid, "client_secret": "s", "id_server": "evil.example.com"}, "thief"), http.StatusUnauthorized)
		w.login(name, password)
	})
}

func TestAttack_AroundTheProxy(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		sid := w.validated("account/password", "s", email)
		direct := stack.NewClient(w.s.Direct)
		a := w.must(direct.Do(t.Context(), "POST", "/_matrix/client/r0/account/password", "", stack.Object{
			"new_password": "thief",
			"auth":         stack.EmailAuth("", stack.Object{"sid": sid, "client_secret": "s", "id_server": w.s.Identity}),
		}))
		w.want(a, http.StatusUnauthorized)
		w.login(name, password)
		// The session is as good as before for its owner.
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "mine"), http.StatusOK)
	})
}

func TestAttack_MailScanner(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		sid := w.request("account/password", "s", email)
		link := w.link(email)
		for _, method := range []string{"GET", "HEAD", "GET"} {
			w.want(w.must(w.c.Do(t.Context(), method, link, "", nil)), http.StatusOK)
		}
		w.want(w.reset(w.c, stack.Creds(sid, "s"), "thief"), http.StatusUnauthorized)
		w.login(name, password)
	})
}

func TestAttack_OtherSpellingOfATakenAddress(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		spelled := strings.ToUpper(email[:1]) + email[1:len(email)-len("example.test")] + "EXAMPLE.test"
		attacker := unique("mallory")
		w.register(attacker, attacker+"@example.test")
		token := w.login(attacker, password)
		a := w.must(w.c.RequestToken(t.Context(), "r0", "account/3pid", "s", spelled))
		if w.callback {
			w.want(a, http.StatusOK)
			w.notice(email, "in use")
			body := stack.Object{"three_pid_creds": stack.Creds(a.Text("sid"), "s")}
			w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", token, body)), http.StatusBadRequest)
			a = w.must(w.c.RequestToken(t.Context(), "r0", "register", "s", spelled))
			w.want(a, http.StatusOK)
			w.notice(email, "already have an account")
		} else {
			// The mail goes to the owner; without a click there is nothing to use.
			w.want(a, http.StatusOK)
			body := stack.Object{"three_pid_creds": stack.Creds(a.Text("sid"), "s")}
			w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid", token, body)), http.StatusBadRequest)
		}
		if got := w.emails(w.login(name, password)); len(got) != 1 || got[0] != email {
			t.Errorf("got the victim's addresses %q, want %q", got, email)
		}
	})
}

func TestNoSecretsInTheLog(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("canary")
		email, secret := name+"@example.test", "secret."+name
		w.register(name, email)
		sid := w.request("account/password", secret, email)
		link := w.link(email)
		_, done, err := w.c.Click(t.Context(), link)
		w.want(w.must(done, err), http.StatusOK)
		w.want(w.reset(w.c, stack.Creds(sid, secret), "canary.password."+name), http.StatusOK)
		logs := w.s.Caddy.Logs()
		if !strings.Contains(logs, "threepid") {
			t.Fatal("the module has logged nothing at debug level")
		}
		for what, canary := range map[string]string{
			"address": email, "client_secret": secret, "password": "canary.password." + name,
		} {
			if strings.Contains(logs, canary) {
				t.Errorf("the log tells the %s", what)
			}
		}
	})
}

func TestF39_Attack_UIASessionAlone(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, email := w.victim()
		path := "/_matrix/client/v3/account/password"
		first := w.want(w.must(w.c.Do(t.Context(), "POST", path, "", stack.Object{})), http.StatusUnauthorized)
		session := first.Text("session")
		sid := w.validated("account/password", "s", email)
		w.want(w.must(w.c.Do(t.Context(), "POST", path, "", stack.Object{
			"new_password": "mine", "auth": stack.EmailAuth(session, stack.Creds(sid, "s")),
		})), http.StatusOK)
		again := stack.Object{"new_password": "thief", "auth": stack.Object{"session": session}}
		w.want(w.must(w.c.Do(t.Context(), "POST", path, "", again)), http.StatusUnauthorized)
		w.login(name, "mine")
		// Around us the name is one that the homeserver does not know.
		direct := stack.NewClient(w.s.Direct)
		w.want(w.must(direct.Do(t.Context(), "POST", "/_matrix/client/r0/account/password", "", again)), http.StatusUnauthorized)
		w.login(name, "mine")
	})
}

func TestR26_Attack_RegistrationsUIASessionResetsAPassword(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		if w.callback {
			// The homeserver refuses the session that the attack begins with.
			_, email := w.victim()
			w.want(w.must(w.c.RequestToken(t.Context(), "v3", "register", "s", email)), http.StatusOK)
			w.notice(email, "already have an account")
			return
		}
		name, email := w.victim()
		first := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/register", "", stack.Object{"username": unique("mallory"), "password": "x"}))
		session := w.want(first, http.StatusUnauthorized).Text("session")
		sid := w.validated("register", "s", email)
		a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/register", "", stack.Object{
			"username": unique("mallory"), "password": "x", "auth": stack.EmailAuth(session, stack.Creds(sid, "s")),
		}))
		if a.Status == http.StatusOK {
			t.Fatalf("a taken address was registered: %s", a.Body)
		}
		w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/password", "", stack.Object{
			"new_password": "thief", "auth": stack.Object{"session": session},
		})), http.StatusUnauthorized)
		w.login(name, password)
	})
}

// TestF31_AQueryWithTwoReadings: Synapse splits a query at semicolons and finds
// an access token where Caddy finds none, or another one.
func TestF31_AQueryWithTwoReadings(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		mallory, owner := unique("mallory"), unique("owner")
		shared := owner + "@example.test"
		w.register(mallory, mallory+"@example.test")
		own := w.login(mallory, password)
		sid := w.validated("account/3pid", "s1", shared)
		w.register(owner, shared)
		stolen := w.login(owner, password)
		creds := stack.Object{"three_pid_creds": stack.Creds(sid, "s1")}
		a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/3pid?x;access_token="+own, "", creds))
		w.want(a, http.StatusBadRequest)
		add := stack.Object{"sid": w.validated("account/3pid", "s2", mallory+".evil@example.test"), "client_secret": "s2", "auth": passwordStage("", mallory, password)}
		a = w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/3pid/add?x;access_token="+stolen+"&access_token="+own, "", add))
		w.want(a, http.StatusBadRequest)
		if got := w.emails(stolen); len(got) != 1 || got[0] != shared {
			t.Errorf("the owner has %q, want %q alone", got, shared)
		}
	})
}

// TestAttack_ATokenInAForm: the real Synapse takes the token out of a body
// that is an object and a form, and nothing of ours would see who leaves.
func TestAttack_ATokenInAForm(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name, _ := w.victim()
		body := fmt.Sprintf(`{"auth":{"type":"m.login.password","user":%q,"password":%q},"id_server":"127.0.0.1:9","x":"&access_token=%s&"}`,
			name, password, w.login(name, password))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.c.Base+"/_matrix/client/r0/account/deactivate", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("got status %d, want 401", resp.StatusCode)
		}
		w.login(name, password)
	})
}
