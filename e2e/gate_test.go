// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// ownStack starts a stack for one test.
func ownStack(t *testing.T, opts stack.Options) *world {
	t.Helper()
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the end-to-end tests need Synapse 1.3.1 and Sydent: %v", unavailable)
	}
	opts.Dir, opts.Caddy, opts.Synapse, opts.MapVersions, opts.Logf = t.TempDir(), program, &server, true, logf
	s, err := stack.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &world{t: t, s: s, c: s.Client(), callback: opts.Callback}
}

// wantNoMail looks at what went through the outbox: a mail that is not sent
// leaves no other trace to wait for.
func (w *world) wantNoMail(email string) {
	w.t.Helper()
	for _, m := range w.s.Inbox.Messages() {
		for _, to := range []string{m.To} {
			if to == email {
				w.t.Errorf("got a mail to %s, want none", email)
			}
		}
	}
}

// TestGate_RegistrationIsDisabled: a real homeserver that registers nobody mails
// nobody, in either mode.
func TestGate_RegistrationIsDisabled(t *testing.T) {
	closedStreet.bothModes(t, func(t *testing.T, w *world) {
		place := unique("place")
		stranger := func(i int) string { return fmt.Sprintf("stranger%d@%s.test", i, place) }
		for i := range 3 {
			a := w.must(w.c.RequestToken(t.Context(), "v3", "register", fmt.Sprint("s", i), stranger(i)))
			if w.want(a, http.StatusForbidden).Text("errcode") != "M_FORBIDDEN" {
				t.Errorf("got %s, want M_FORBIDDEN", a.Body)
			}
		}
		// What is sent afterwards overtakes nothing.
		if !w.callback {
			w.request("account/3pid", "s", "member@"+place+".test")
			w.link("member@" + place + ".test")
		}
		for i := range 3 {
			w.wantNoMail(stranger(i))
		}
	})
}

// judge judges captchas in place of Google's service.
func judge() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"success":%t}`, r.PostFormValue("response") == "solved") // the homeserver may be gone
	}))
}

// TestGate_TheCaptchaComesFirst: with a real homeserver and its captcha, the mail
// is sent when it is solved, and by that alone.
func TestGate_TheCaptchaComesFirst(t *testing.T) {
	captchaStreet.bothModes(t, func(t *testing.T, w *world) {
		ctx, name := t.Context(), unique("bob")
		email, stranger := name+"@example.test", "stranger."+name+"@example.test"
		a := w.must(w.c.RequestToken(ctx, "v3", "register", "early", stranger))
		w.want(a, http.StatusForbidden)

		body := stack.Object{"username": name, "password": password}
		register := func(auth stack.Object) stack.Answer {
			if auth != nil {
				body["auth"] = auth
			}
			return w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body))
		}
		first := w.want(register(nil), http.StatusUnauthorized)
		if !strings.Contains(first.Body, "m.login.recaptcha") {
			t.Fatalf("got %s, want flows with a captcha", first.Body)
		}
		session := first.Text("session")
		sid := w.request("register", "s", email) // as matrix-js-sdk does
		captcha := func(response string) stack.Object {
			return stack.Object{"type": "m.login.recaptcha", "session": session, "response": response}
		}
		w.want(register(captcha("guessed")), http.StatusUnauthorized)
		if !w.callback { // another purpose's mail overtakes nothing
			w.request("account/3pid", "s", "member."+email)
			w.link("member." + email)
		}
		w.wantNoMail(email)
		w.want(register(captcha("solved")), http.StatusUnauthorized)
		_, done, err := w.c.Click(ctx, w.link(email))
		w.want(w.must(done, err), http.StatusOK)
		w.want(register(stack.EmailAuth(session, stack.Creds(sid, "s"))), http.StatusOK)
		w.login(name, password)
		w.wantNoMail(stranger)
		if !w.callback {
			w.bySDK(t, newSDK).registerBehindACaptcha("dora."+name, "dora."+email)
		}
	})
}

// registerBehindACaptcha leaves the decisions to the SDK. It asks for the mail
// at once, and never again.
func (w *sdkWorld) registerBehindACaptcha(name, email string) {
	w.t.Helper()
	ctx := w.t.Context()
	flow, state, err := w.anon.StartAuth(ctx, jssdk.AuthRequest{
		Method: "registerRequest", Args: []any{stack.Object{"username": name, "password": password, "auth": jssdk.Auth}},
		Email: email, RequestToken: "requestRegisterEmailToken",
	})
	if err != nil || state.Stage != "m.login.recaptcha" || state.EmailSID == "" {
		w.t.Fatalf("got %+v, %v; want it to show the captcha, and to have asked for the mail", state, err)
	}
	w.wantNoMail(email)
	state, err = flow.Submit(ctx, map[string]any{"type": "m.login.recaptcha", "response": "solved"})
	if err != nil || state.Stage != "m.login.email.identity" {
		w.t.Fatalf("got %+v, %v; want it to wait for the mail", state, err)
	}
	w.click(email)
	if state, err = flow.Poll(ctx); err != nil || !state.Done {
		w.t.Fatalf("got %+v, %v; want it done", state, err)
	}
	w.login(name, password)
}
