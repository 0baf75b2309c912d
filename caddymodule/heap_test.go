// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestAdvisory13_NothingSecretStaysInMemory goes through a registration and a
// whole reset, with a Caddy in a process of its own, and then reads everything
// that is alive in it, and everything that it has written.
//
// What net/http and the reverse proxy hold is not ours to clear: the buffers of
// a connection have its last request until the next one. So other traffic
// follows on every connection that is left, before the dump.
func TestAdvisory13_NothingSecretStaysInMemory(t *testing.T) {
	for _, checks := range []string{"off", "callback"} {
		t.Run(checks, func(t *testing.T) {
			w, config := prepareWhole(t, checks)
			c := w.startChild(config)
			w.awaitIdentity()
			_, learned := w.register()
			secrets := append([]string{canarySecret, canaryAddress, oldPassword, newPassword}, learned...)
			secrets = append(secrets, w.resetWhole()...)

			before := c.dump(w.path("before.heap"))
			w.ordinaryTraffic()
			after := c.dump(w.path("after.heap"))
			if !strings.Contains(after, w.identityName()) || !strings.Contains(after, relayPassword) {
				t.Fatal("the dump does not have what the process must remember")
			}
			t.Logf("%d of %d secrets in the buffers of connections that had nothing else since", howMany(secrets, before), len(secrets))
			found(t, secrets, "heap", after)

			w.readMetrics(secrets)
			c.quit(t) // with everything in it written to the disk
			w.readFiles(secrets)
		})
	}
}

// resetWhole resets the password of the account that register made, and
// returns what became secret on the way.
func (w *whole) resetWhole() []string {
	w.t.Helper()
	const secret = "canary-reset-secret"
	sid := w.ask("v3", "account/password", secret, canaryAddress)
	link := w.link(canaryAddress)
	body := stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(sid, secret))}
	w.do("POST", "/_matrix/client/v3/account/password", "", body, http.StatusUnauthorized)
	if page, done, err := w.client.Click(w.t.Context(), link); err != nil || page.Status != http.StatusOK || done.Status != http.StatusOK {
		w.t.Fatalf("got %d and %d (%v) for link and button, want 200", page.Status, done.Status, err)
	}
	w.do("POST", "/_matrix/client/v3/account/password", "", body, http.StatusOK)
	access := w.login("alice", newPassword, http.StatusOK)
	return []string{secret, linkToken(w.t, link), access}
}

func linkToken(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("token") == "" {
		t.Fatalf("got the link %q (%v), want one with a token", link, err)
	}
	return u.Query().Get("token")
}

// ordinaryTraffic is the same way again, for somebody else.
func (w *whole) ordinaryTraffic() {
	w.t.Helper()
	filler := strings.Repeat("ordinary ", 500)
	for i := range 10 {
		name := fmt.Sprintf("other%d", i)
		email := name + "@example.test"
		w.hs.AddUser(name, "p", email)
		sid := w.ask("v3", "account/password", "s", email)
		w.click(email)
		body := stack.Object{"new_password": filler, "auth": stack.EmailAuth("", stack.Creds(sid, "s"))}
		w.do("POST", "/_matrix/client/v3/account/password", "", body, http.StatusOK)
		w.login(name, filler, http.StatusOK)
		w.do("GET", "/_matrix/client/versions?"+url.Values{"x": {filler}}.Encode(), "", nil, http.StatusOK)
	}
}

// dump returns what is alive in the process.
func (c *child) dump(file string) string {
	if _, err := fmt.Fprintln(c.stdin, file); err != nil {
		return ""
	}
	if line, err := c.stdout.ReadString('\n'); err != nil || line != "dumped\n" {
		return ""
	}
	raw, err := os.ReadFile(file)
	_ = os.Remove(file) // it is no leftover
	if err != nil {
		return ""
	}
	return string(raw)
}

// quit ends the process in order.
func (c *child) quit(t *testing.T) {
	t.Helper()
	if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil {
		t.Fatalf("the child has ended with %v", err)
	}
}

func howMany(secrets []string, text string) int {
	n := 0
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			n++
		}
	}
	return n
}
