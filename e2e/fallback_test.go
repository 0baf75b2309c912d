// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/element"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// riotOrigin is where Riot is served from.
const riotOrigin = "https://riot.example"

// stagesWithPages are the first stages of a registration, and what a person does
// on the page of each. On Python 3, Synapse 1.3.1 answers the form of the terms
// with 500 (it looks for text among bytes), so there the client itself, as Riot
// does, says that they are agreed to.
var stagesWithPages = []struct {
	name string
	form url.Values
}{
	{"m.login.recaptcha", url.Values{"g-recaptcha-response": {"solved"}}},
	{"m.login.terms", url.Values{}},
}

// openPage does what a browser does with the page of a stage: it loads it and
// sends its form. The page loads the captcha itself from the internet, so the
// answer to that is ours.
func (w *world) openPage(address string, form url.Values) {
	w.t.Helper()
	ctx := w.t.Context()
	page := w.want(w.must(w.c.Do(ctx, http.MethodGet, address, "", nil)), http.StatusOK)
	action, field := formAction.FindStringSubmatch(page.Body), formField.FindStringSubmatch(page.Body)
	if action == nil || field == nil {
		w.t.Fatalf("got the page %s, want a form with a session", page.Body)
	}
	filled := url.Values{"session": {field[1]}}
	maps.Copy(filled, form)
	done := w.want(w.must(w.c.Form(ctx, action[1], filled)), http.StatusOK)
	if !strings.Contains(done.Body, "onAuthDone") {
		w.t.Fatalf("got %s, want the page that tells the client to go on", done.Body)
	}
}

// hasPage reports whether the page of a stage works on this homeserver.
func (h *heard) hasPage(stage string) bool { return h.newest || stage != "m.login.terms" }

// TestFallbackPagesByRiot is a registration in the order of Riot 1.7. It asks for
// the mail at once, with a next_link that has the name of the conversation, and
// another tab goes on from there with that name alone.
func TestFallbackPagesByRiot(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		ctx, name := t.Context(), unique("riot")
		email := name + "@example.test"
		register := func(auth stack.Object) stack.Answer {
			body := stack.Object{"username": name, "password": password, "initial_device_display_name": "Riot"}
			if auth != nil {
				body["auth"] = auth
			}
			return w.must(w.c.Do(ctx, "POST", "/_matrix/client/r0/register", "", body))
		}
		session := w.want(register(nil), http.StatusUnauthorized).Text("session")
		if !w.newest {
			w.want(w.must(w.c.Do(ctx, "POST", "/_matrix/client/r0/register/email/requestToken", "", stack.Object{
				"client_secret": "secret", "email": email, "send_attempt": 1, "id_server": "vector.im",
				"next_link": riotOrigin + "/#/register?client_secret=secret&hs_url=https%3A%2F%2Fexample.test&is_url=https%3A%2F%2Fvector.im&session_id=" + session,
			})), http.StatusOK)
			w.wantNoMail(email)
		}
		for i, stage := range stagesWithPages {
			next := stack.Object{"session": session}
			if w.hasPage(stage.name) {
				w.openPage("/_matrix/client/r0/auth/"+stage.name+"/fallback/web?session="+url.QueryEscape(session), stage.form)
			} else {
				next["type"] = stage.name
			}
			polled := w.want(register(next), http.StatusUnauthorized)
			if completed, _ := polled.JSON["completed"].([]any); len(completed) != i+1 || polled.Text("session") != session {
				t.Fatalf("got %s, want %s completed in the same conversation", polled.Body, stage.name)
			}
		}
		if w.newest {
			w.want(register(stack.Object{"session": session, "type": "m.login.dummy"}), http.StatusOK)
		} else {
			w.finishInAnotherTab(email)
		}
		w.login(name, password)
	})
}

// finishInAnotherTab follows the link of a mail back to Riot, which goes on with
// what is in the address and nothing else.
func (h *heard) finishInAnotherTab(email string) {
	h.t.Helper()
	_, done, err := h.c.Click(h.t.Context(), h.link(email))
	location := h.must(done, err).Header.Get("Location")
	begun, ok := element.Resumed(location)
	if !ok || !strings.HasPrefix(location, riotOrigin+"/") {
		h.t.Fatalf("got %d to %s, want it back at Riot with a sid", done.Status, location)
	}
	auth := stack.EmailAuth(begun.Session, stack.Object{"sid": begun.SID, "client_secret": begun.ClientSecret, "id_server": "vector.im"})
	h.want(h.must(h.c.Do(h.t.Context(), "POST", "/_matrix/client/r0/register", "", stack.Object{"auth": auth})), http.StatusOK)
}

// TestFallbackPagesBySDK leaves all decisions to the client of today: the address
// of each page, when it polls, and what it sends.
func TestFallbackPagesBySDK(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		ctx, name := t.Context(), unique("sdk")
		sdk := w.bySDK(t, newSDK)
		request := jssdk.AuthRequest{
			Method: "registerRequest", Args: []any{stack.Object{"username": name, "password": password, "auth": jssdk.Auth}},
		}
		if !w.newest {
			request.Email, request.RequestToken = name+"@example.test", "requestRegisterEmailToken"
		}
		flow, state, err := sdk.anon.StartAuth(ctx, request)
		for _, stage := range stagesWithPages {
			if err != nil || state.Stage != stage.name || state.Refused == nil {
				t.Fatalf("got %+v, %v; want it to show %s", state, err, stage.name)
			}
			if !w.hasPage(stage.name) {
				state, err = flow.Submit(ctx, stack.Object{"type": stage.name})
				continue
			}
			var address string
			if err := json.Unmarshal(sdk.call(sdk.anon, "getFallbackAuthUrl", stage.name, state.Refused.Text("session")), &address); err != nil {
				t.Fatal(err)
			}
			w.openPage(address, stage.form)
			state, err = flow.Poll(ctx)
		}
		if !w.newest { // which has the stage m.login.dummy, and the SDK goes through it by itself
			if err != nil || state.Stage != "m.login.email.identity" {
				t.Fatalf("got %+v, %v; want it to wait for the mail", state, err)
			}
			sdk.click(request.Email)
			state, err = flow.Poll(ctx)
		}
		if err != nil || !state.Done {
			t.Fatalf("got %+v, %v; want it done", state, err)
		}
		sdk.loggedIn(name, password, jssdk.ClientOptions{})
	})
}

// TestFallbackPages_ANameThatIsNone: neither the homeserver's own name nor that of
// somebody else's captcha leads to a page or past one.
func TestFallbackPages_ANameThatIsNone(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		ctx, name := t.Context(), unique("raw")
		register := func(c *stack.Client, session string) stack.Answer {
			auth := stack.Object{"session": session}
			if w.newest {
				auth["type"] = "m.login.dummy"
			}
			return w.must(c.Do(ctx, "POST", "/_matrix/client/r0/register", "", stack.Object{"username": name, "password": password, "auth": auth}))
		}
		session := w.want(register(w.c, ""), http.StatusUnauthorized).Text("session")
		for _, stage := range stagesWithPages[:map[bool]int{false: 1, true: 2}[w.newest]] {
			w.openPage("/_matrix/client/v3/auth/"+stage.name+"/fallback/web?session="+url.QueryEscape(session), stage.form)
		}
		raw := w.nameOf(name)
		page := "/_matrix/client/v3/auth/m.login.recaptcha/fallback/web"
		for _, none := range []string{raw, session + "A", "bogus"} {
			w.want(w.must(w.c.Do(ctx, "GET", page+"?session="+none, "", nil)), http.StatusBadRequest)
			w.want(w.must(w.c.Form(ctx, page, url.Values{"session": {none}, "g-recaptcha-response": {"solved"}})), http.StatusBadRequest)
			if a := w.want(register(w.c, none), http.StatusUnauthorized); strings.Contains(fmt.Sprint(a.JSON["completed"]), "recaptcha") {
				t.Errorf("%s: got %s, want a conversation of its own", none, a.Body)
			}
		}
		// It is the right one: the homeserver knows it, and how far it has come.
		direct := register(stack.NewClient(w.s.Direct), raw)
		if !w.newest && !strings.Contains(fmt.Sprint(direct.JSON["completed"]), "m.login.recaptcha") || w.newest && direct.Status != http.StatusOK {
			t.Errorf("control: got %d %s from the homeserver itself", direct.Status, direct.Body)
		}
	})
}
