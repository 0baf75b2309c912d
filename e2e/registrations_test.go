// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestAttack_OneClickManyRegistrations: Synapse looks for the password when it has
// kept the proof, so a registration without one put the proof of one click into as
// many sessions as somebody had begun.
func TestAttack_OneClickManyRegistrations(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		ctx, name := t.Context(), unique("many")
		register := func(more, auth stack.Object) stack.Answer {
			body := stack.Object{"inhibit_login": false}
			maps.Copy(body, more)
			if auth != nil {
				body["auth"] = auth
			}
			return w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body))
		}
		begin := func() string { return w.want(register(nil, nil), http.StatusUnauthorized).Text("session") }
		account := func(name string) stack.Object { return stack.Object{"username": name, "password": password} }
		sessions := []string{begin(), begin(), begin()}
		sid := w.validated("register", "s", name+"@example.test")
		creds := func(session string) stack.Object { return stack.EmailAuth(session, stack.Creds(sid, "s")) }
		w.want(register(nil, creds(sessions[0])), http.StatusBadRequest)
		for _, session := range sessions[1:] {
			w.want(register(nil, creds(session)), http.StatusUnauthorized)
			w.want(register(account(unique("mallory")), stack.Object{"session": session}), http.StatusUnauthorized)
		}
		// Whoever has only forgotten the password goes on.
		w.want(register(account(name), creds(sessions[0])), http.StatusOK)
		if got := w.emails(w.login(name, password)); len(got) != 1 || got[0] != name+"@example.test" {
			t.Errorf("got addresses %q", got)
		}
	})
}
