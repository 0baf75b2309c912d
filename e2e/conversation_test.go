// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

var (
	formAction = regexp.MustCompile(`<form [^>]*action="([^"]+)"`)
	formField  = regexp.MustCompile(`name="session" value="([^"]*)"`)
)

// TestConversationThroughTheCaptchasPage: who solves the captcha on the
// homeserver's own page, as Element's fallback has it, registers with the name
// that they were told, and sees no other.
func TestConversationThroughTheCaptchasPage(t *testing.T) {
	captchaStreet.bothModes(t, func(t *testing.T, w *world) {
		ctx, name := t.Context(), unique("bob")
		email := name + "@example.test"
		register := func(auth stack.Object) stack.Answer {
			body := stack.Object{"username": name, "password": password}
			if auth != nil {
				body["auth"] = auth
			}
			return w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body))
		}
		session := w.want(register(nil), http.StatusUnauthorized).Text("session")
		page := w.want(w.must(w.c.Do(ctx, "GET", "/_matrix/client/r0/auth/m.login.recaptcha/fallback/web?session="+url.QueryEscape(session), "", nil)), http.StatusOK)
		action, field := formAction.FindStringSubmatch(page.Body), formField.FindStringSubmatch(page.Body)
		if action == nil || field == nil || field[1] != session {
			t.Fatalf("got the page %s, want a form with the name %q", page.Body, session)
		}
		failed := w.must(w.c.Form(ctx, action[1], url.Values{"session": {session}, "g-recaptcha-response": {"guessed"}}))
		if again := formField.FindStringSubmatch(failed.Body); failed.Status == http.StatusOK && (again == nil || again[1] != session) {
			t.Errorf("got %s, want the form once more", failed.Body)
		}
		solved := w.want(w.must(w.c.Form(ctx, action[1], url.Values{"session": {session}, "g-recaptcha-response": {"solved"}})), http.StatusOK)
		if !strings.Contains(solved.Body, "Thank you") {
			t.Fatalf("got %s, want the page of success", solved.Body)
		}
		next := w.want(register(stack.Object{"session": session}), http.StatusUnauthorized)
		if completed, _ := next.JSON["completed"].([]any); !slices.Contains(completed, any("m.login.recaptcha")) || next.Text("session") != session {
			t.Fatalf("got %s, want the captcha completed in the same conversation", next.Body)
		}
		sid := w.request("register", "s", email)
		_, done, err := w.c.Click(ctx, w.link(email))
		w.want(w.must(done, err), http.StatusOK)
		w.want(register(stack.EmailAuth(session, stack.Creds(sid, "s"))), http.StatusOK)
		w.login(name, password)
	})
}

// TestConversationOfAUser: what asks for the password works with sealed names, and
// a name of one endpoint is none at another.
func TestConversationOfAUser(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		ctx, name := t.Context(), unique("talks")
		w.register(name, name+"@example.test")
		token, device := w.login(name, password), w.login(name, password)
		whoami := func(token string) int {
			return w.must(w.c.Do(ctx, "GET", "/_matrix/client/v3/account/whoami", token, nil)).Status
		}
		var list struct{ ids []any }
		devices := w.want(w.must(w.c.Do(ctx, "GET", "/_matrix/client/r0/devices", device, nil)), http.StatusOK)
		list.ids, _ = devices.JSON["devices"].([]any)
		id, _ := list.ids[len(list.ids)-1].(map[string]any)["device_id"].(string)
		proof := func(session string) stack.Object {
			return stack.Object{"type": "m.login.password", "user": name, "password": password, "session": session}
		}
		begin := func(path string) string {
			return w.want(w.must(w.c.Do(ctx, "POST", path, token, stack.Object{"devices": []string{id}})), http.StatusUnauthorized).Text("session")
		}
		const remove, leave = "/_matrix/client/r0/delete_devices", "/_matrix/client/v3/account/deactivate"
		removing, leaving := begin(remove), begin(leave)
		// The password was proven in the first one; its name is not worth the account.
		w.want(w.must(w.c.Do(ctx, "POST", remove, token, stack.Object{"devices": []string{"none"}, "auth": proof(removing)})), http.StatusOK)
		w.want(w.must(w.c.Do(ctx, "POST", leave, token, stack.Object{"auth": stack.Object{"session": removing}})), http.StatusUnauthorized)
		w.want(w.must(w.c.Do(ctx, "POST", remove, token, stack.Object{"devices": []string{id}, "auth": proof(begin(remove))})), http.StatusOK)
		if whoami(token) != http.StatusOK {
			token = device
		}
		w.want(w.must(w.c.Do(ctx, "POST", leave, token, stack.Object{"auth": proof(leaving)})), http.StatusOK)
		if got := whoami(token); got != http.StatusUnauthorized {
			t.Errorf("got %d, want the account gone", got)
		}
	})
}
