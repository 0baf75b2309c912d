// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// whole is everything at once: a relay, Caddy with a real reverse proxy and a
// real TLS site, and a homeserver that calls that site.
type whole struct {
	*site
	hs    *fakehs.Server
	inbox *smtptest.Server
	// refuse makes the relay refuse every recipient.
	refuse atomic.Bool
}

const (
	relayUser     = "canary-relay-user"
	relayPassword = "canary-relay-password"
	oldPassword   = "canary-old-password"
	newPassword   = "canary-new-password"
)

// newWhole starts everything. more are further options of the app.
func newWhole(t *testing.T, checks string, more ...string) *whole {
	t.Helper()
	w, config := prepareWhole(t, checks, more...)
	w.mustLoad(config)
	w.awaitIdentity()
	return w
}

// prepareWhole starts everything but Caddy, and returns its Caddyfile.
func prepareWhole(t *testing.T, checks string, more ...string) (w *whole, config string) {
	t.Helper()
	w = new(whole)
	inbox, err := smtptest.Start(smtptest.Options{
		Mode: smtptest.STARTTLS, Username: relayUser, Password: relayPassword,
		Fail: func(stage, address string) error {
			if w.refuse.Load() && stage == "RCPT" {
				return refusal(stage, address)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	t.Setenv("THREEPID_TEST_RELAY_PASSWORD", relayPassword)

	hsOpts := fakehs.Options{Require3PIDEmail: true}
	w.inbox = inbox
	// The site's name is known only after its port is.
	w.site = newSite(t, "")
	hsOpts.TrustedIDServers = []string{w.identityName()}
	w.hs, w.upstream = homeserver(t, hsOpts)

	ca := w.path("relay.pem")
	if err := os.WriteFile(ca, inbox.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	options := append([]string{
		"public_url " + w.url(),
		"key_file " + w.path("keys.json"),
		"store badger {\npath " + w.path("store") + "\n}",
		"homeserver synapse {\nidentity_name " + w.identityName() + "\nchecks " + checks + "\n}",
		"limit address off",
		"mailer smtp {\nserver " + inbox.Addr() + "\nca_file " + ca + "\nusername " + relayUser +
			"\npassword {env.THREEPID_TEST_RELAY_PASSWORD}\nfrom \"Example <noreply@example.test>\"\n}",
	}, more...)
	return w, w.caddyfile(options...)
}

// both runs a test with the homeserver asked about addresses, and not.
func both(t *testing.T, run func(t *testing.T, w *whole)) {
	t.Helper()
	for _, checks := range []string{"off", "callback"} {
		t.Run(checks, func(t *testing.T) { run(t, newWhole(t, checks)) })
	}
}

func (w *whole) do(method, path, token string, body any, want int) stack.Answer {
	w.t.Helper()
	a, err := w.client.Do(w.t.Context(), method, path, token, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.Status != want {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.Status, a.Body, want)
	}
	return a
}

// ask requests a token and returns the sid.
func (w *whole) ask(version, purpose, secret, email string) string {
	w.t.Helper()
	a := w.do("POST", "/_matrix/client/"+version+"/"+purpose+"/email/requestToken", "",
		stack.Object{"client_secret": secret, "email": email, "send_attempt": 1}, http.StatusOK)
	return a.Text("sid")
}

// link waits for the mail to an address and returns its link.
func (w *whole) link(email string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail: %v; log:\n%s", err, w.log("caddy.log"))
	}
	if !m.Encrypted || !m.Authenticated {
		w.t.Errorf("got mail encrypted %v, authenticated %v, want both", m.Encrypted, m.Authenticated)
	}
	link, ok := m.Link()
	if !ok || !strings.HasPrefix(link, w.url()+"/_threepid/") {
		w.t.Fatalf("got link %q, want one to the public site", link)
	}
	return link
}

// click opens the link of the mail to an address and presses the button.
func (w *whole) click(email string) {
	w.t.Helper()
	page, done, err := w.client.Click(w.t.Context(), w.link(email))
	if err != nil || page.Status != http.StatusOK || done.Status != http.StatusOK {
		w.t.Fatalf("got %d and %d (%v) for link and button, want 200", page.Status, done.Status, err)
	}
}

func (w *whole) login(user, password string, want int) string {
	w.t.Helper()
	a, err := w.client.Login(w.t.Context(), user, password)
	if err != nil || a.Status != want {
		w.t.Fatalf("log in: got %d %s (%v), want %d", a.Status, a.Body, err, want)
	}
	return a.Text("access_token")
}

func TestR12_R15_R23_R25_RegisterThroughCaddy(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		body := stack.Object{"username": "alice", "password": oldPassword, "bind_email": true}
		session := w.do("POST", "/_matrix/client/v3/register", "", body, http.StatusUnauthorized).Text("session")
		sid := w.ask("v3", "register", "secret", "Alice@Example.test")
		body["auth"] = stack.EmailAuth(session, stack.Creds(sid, "secret"))
		w.do("POST", "/_matrix/client/v3/register", "", body, http.StatusUnauthorized)
		w.click("alice@example.test")
		w.do("POST", "/_matrix/client/v3/register", "", body, http.StatusOK)
		w.login("alice", oldPassword, http.StatusOK)
		if got, want := w.hs.Emails("alice"), []string{"alice@example.test"}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		for _, c := range w.hs.IDServerCalls() {
			if !strings.HasPrefix(c.URL, "https://"+w.identityName()+"/") || strings.Contains(c.URL, "/bind") || c.Status != http.StatusOK {
				t.Errorf("the homeserver has called %s %s and got %d (%v)", c.Method, c.URL, c.Status, c.Err)
			}
		}
	})
}

func TestR28_R32_F38_F39_ResetThroughCaddy(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		w.hs.AddUser("bob", oldPassword, "bob@example.test")
		sid := w.ask("r0", "account/password", "secret", "bob@example.test")
		body := stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(sid, "secret"))}
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusUnauthorized)
		w.click("bob@example.test")
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusOK)
		w.login("bob", newPassword, http.StatusOK)
		w.login("bob", oldPassword, http.StatusForbidden)
		body["new_password"] = "another"
		w.do("POST", "/_matrix/client/r0/account/password", "", body, http.StatusUnauthorized)
		w.login("bob", newPassword, http.StatusOK)
	})
}

func TestR50_R55_R56_R57_AddThroughCaddy(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		w.hs.AddUser("carol", oldPassword)
		token := w.login("carol", oldPassword, http.StatusOK)
		sid := w.ask("unstable", "account/3pid", "secret", "carol@example.test")
		body := stack.Object{"three_pid_creds": stack.Creds(sid, "secret"), "bind": true}
		early := w.do("POST", "/_matrix/client/r0/account/3pid", token, body, http.StatusBadRequest)
		if got, want := early.Text("errcode"), "M_THREEPID_AUTH_FAILED"; got != want {
			t.Errorf("got errcode %q before the click, want %q", got, want)
		}
		w.click("carol@example.test")
		w.do("POST", "/_matrix/client/r0/account/3pid", token, body, http.StatusOK)
		if got, want := w.hs.Emails("carol"), []string{"carol@example.test"}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		if got := w.hs.BoundAt("carol", "carol@example.test"); len(got) != 0 {
			t.Errorf("got bound at %q, want nowhere", got)
		}
	})
}

func TestR19_R22_R21_VersionsThroughCaddy(t *testing.T) {
	w := newWhole(t, "off")
	features := func() map[string]any {
		a := w.settled(func() (stack.Answer, error) {
			return w.client.Do(t.Context(), "GET", "/_matrix/client/versions", "", nil)
		})
		if versions, _ := a.JSON["versions"].([]any); len(versions) == 0 {
			t.Errorf("got %s, want the homeserver's versions", a.Body)
		}
		f, _ := a.JSON["unstable_features"].(map[string]any)
		return f
	}
	if got := features()["m.require_identity_server"]; got != false {
		t.Errorf("got m.require_identity_server %v, want false", got)
	}
	w.mustLoad(w.caddyfile(w.options("mailer off")...))
	if got, ok := features()["m.require_identity_server"]; ok {
		t.Errorf("got m.require_identity_server %v with email off, want it absent", got)
	}
}

func TestR24_R38_NoMailer(t *testing.T) {
	hs, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.caddyfile(s.options("mailer off")...))
	a, err := s.client.RequestToken(t.Context(), "r0", "register", "s", "a@example.test")
	if err != nil || a.Status != http.StatusBadRequest || a.Text("errcode") != "M_THREEPID_MEDIUM_NOT_SUPPORTED" {
		t.Errorf("got %d %s (%v), want M_THREEPID_MEDIUM_NOT_SUPPORTED", a.Status, a.Body, err)
	}
	if got := len(hs.Requests()); got != 0 {
		t.Errorf("the homeserver was asked %d times, want never", got)
	}
}

// What the homeserver refuses is refused in its words, if the operator wants it.
func TestF14_F15_RefusalsThroughCaddy(t *testing.T) {
	w := newWhole(t, "callback", "reveal_account_existence on")
	w.hs.AddUser("dave", oldPassword, "dave@example.test")
	a := w.do("POST", "/_matrix/client/r0/account/password/email/requestToken", "",
		stack.Object{"client_secret": "s", "email": "nobody@example.test", "send_attempt": 1}, http.StatusBadRequest)
	if got, want := a.Text("errcode"), "M_THREEPID_NOT_FOUND"; got != want {
		t.Errorf("got errcode %q, want %q", got, want)
	}
	a = w.do("POST", "/_matrix/client/r0/register/email/requestToken", "",
		stack.Object{"client_secret": "s", "email": "Dave@example.test", "send_attempt": 1}, http.StatusBadRequest)
	if got, want := a.Text("errcode"), "M_THREEPID_IN_USE"; got != want {
		t.Errorf("got errcode %q, want %q", got, want)
	}
	if got := len(w.inbox.Messages()); got != 0 {
		t.Errorf("got %d mails, want none", got)
	}
}

// TestDeadHomeserver: the client is told, in Matrix's words and with CORS.
func TestDeadHomeserver(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1")
	s.mustLoad(strings.Replace(s.simple(), "homeserver {", "homeserver synapse {", 1))
	a, err := s.client.RequestToken(t.Context(), "r0", "register", "s", "a@example.test")
	if err != nil || a.Status != http.StatusBadGateway || a.Text("errcode") != "M_UNKNOWN" {
		t.Errorf("got %d %s (%v), want 502 and M_UNKNOWN", a.Status, a.Body, err)
	}
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("got Access-Control-Allow-Origin %q, want *", got)
	}
	if log := s.log("caddy.log"); !strings.Contains(log, `"level":"error"`) || !strings.Contains(log, "connection refused") {
		t.Error("the log does not tell the operator that the homeserver is down")
	}
	// What is passed on has Caddy's own error, as without us.
	if a, err := s.client.Do(t.Context(), "GET", "/_matrix/client/r0/sync", "", nil); err != nil || a.Status != http.StatusBadGateway || a.Body != "" {
		t.Errorf("got %d %q (%v) for a passed request, want an empty 502", a.Status, a.Body, err)
	}
}
