// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/element"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// elementDesktop is the origin that Element Desktop names, wherever its homeserver is.
const elementDesktop = "https://app.element.io/"

// TestR15_F10_F11_RegisterAsElementBySDK is a registration with an address in the order
// of Element Web, whose link is followed or not. Where it is, the tab that began it may
// be gone: what stands in the address is all that another one knows.
func TestR15_F10_F11_RegisterAsElementBySDK(t *testing.T) {
	riotStreet.bothModes(t, func(t *testing.T, own *world) {
		for version, sdk := range map[string]func() (*jssdk.Session, error){jssdk.Version: newSDK, jssdk.OldVersion: oldSDK} {
			w := own.bySDK(t, sdk)
			t.Run(version+" followed", func(t *testing.T) { w.in(t).registerInAnotherTab(riotOrigin + "/") })
			t.Run(version+" not followed", func(t *testing.T) { w.in(t).registerInTheSameTab(elementDesktop) })
		}
	})
}

// in is the same world for a subtest.
func (w *sdkWorld) in(t *testing.T) *sdkWorld {
	inner, outer := *w.world, *w
	inner.t, outer.world = t, &inner
	return &outer
}

// begin is the form of a registration, up to where the mail has been asked for.
func (w *sdkWorld) beginAsElement(name, app string) *jssdk.AuthFlow {
	w.t.Helper()
	w.refused(http.StatusUnauthorized, "", w.anon, "registerRequest", stack.Object{}) // which flows there are
	link := element.RegistrationLink(app, element.Resume{ClientSecret: "SECRET", HomeserverURL: w.s.Public, IdentityURL: "https://vector.im", Session: "SESSION"})
	flow, state, err := w.anon.StartAuth(w.t.Context(), jssdk.AuthRequest{
		Method: "registerRequest",
		Args:   []any{stack.Object{"username": name, "password": password, "initial_device_display_name": "Element", "auth": jssdk.Auth}},
		Email:  name + "@example.test", RequestToken: "requestRegisterEmailToken",
		NextLink: strings.NewReplacer("SECRET", "{secret}", "SESSION", "{session}").Replace(link),
	})
	if err != nil || state.Done || state.Stage != "m.login.email.identity" || state.EmailSID == "" {
		w.t.Fatalf("got %+v, %v; want it to wait for the mail", state, err)
	}
	if state, err = flow.Poll(w.t.Context()); err != nil || state.Done {
		w.t.Fatalf("before the click: got %+v, %v; want it to wait on", state, err)
	}
	return flow
}

func (w *sdkWorld) registerInAnotherTab(app string) {
	w.t.Helper()
	name := unique("tabs")
	email := name + "@example.test"
	w.beginAsElement(name, app) // and that tab is closed
	_, done, err := w.c.Click(w.t.Context(), w.link(email))
	where := w.must(done, err).Header.Get("Location")
	begun, ok := element.Resumed(where)
	if !ok || !strings.HasPrefix(where, app) {
		w.t.Fatalf("the mail leads to %q, where Element shows an empty form", where)
	}
	flow, state, err := w.client(jssdk.ClientOptions{}).StartAuth(w.t.Context(), jssdk.AuthRequest{
		Method: "registerRequest", Args: []any{stack.Object{"auth": jssdk.Auth}},
		Resume: &jssdk.Resume{SessionID: begun.Session, ClientSecret: begun.ClientSecret, EmailSID: begun.SID},
	})
	if err == nil && !state.Done {
		state, err = flow.Poll(w.t.Context())
	}
	if err != nil || !state.Done {
		w.t.Fatalf("the other tab is at %+v, %v; want the account", state, err)
	}
	w.wantRegistered(name, email)
}

func (w *sdkWorld) registerInTheSameTab(app string) {
	w.t.Helper()
	name := unique("desktop")
	email := name + "@example.test"
	flow := w.beginAsElement(name, app)
	_, done, err := w.c.Click(w.t.Context(), w.link(email))
	done = w.want(w.must(done, err), http.StatusOK)
	if !strings.Contains(done.Body, "Go back to the app where you started") || strings.Contains(done.Body, app) {
		w.t.Errorf("got the page %s, want to be told where to go on", done.Body)
	}
	if state, err := flow.Poll(w.t.Context()); err != nil || !state.Done {
		w.t.Fatalf("after the click: got %+v, %v; want the account", state, err)
	}
	w.wantRegistered(name, email)
}

func (w *sdkWorld) wantRegistered(name, email string) {
	w.t.Helper()
	if got, want := w.emails(w.login(name, password)), []string{email}; !slices.Equal(got, want) {
		w.t.Errorf("got addresses %q, want %q", got, want)
	}
}

// TestF30_R57_AddAsElementBySDK: "Continue" before the click says that the link has to
// be opened first, and after it asks for the password.
func TestF30_R57_AddAsElementBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("eager")
		w.register(name, name+"@example.test")
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		email := unique("second") + "@example.test"
		sid := w.requestMail(c, "requestAdd3pidEmailToken", email, "secret")
		creds := stack.Object{"sid": sid, "client_secret": "secret"}
		w.refused(http.StatusBadRequest, "M_THREEPID_AUTH_FAILED", c, "addThreePidOnly", creds)
		w.click(email)
		w.refused(http.StatusUnauthorized, "", c, "addThreePidOnly", creds)
	})
}
