// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/sydent"
)

func TestF30_F31_R56_AddBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("adder")
		email, second := name+"@example.test", name+".second@example.test"
		w.registerBySDK(name, email)
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		before := w.devices(c)
		sid := w.requestMail(c, "requestAdd3pidEmailToken", second, "add")
		if err := w.addBySDK(c, name, password, sid, "add"); err == nil {
			t.Fatal("the address was added before the click")
		}
		w.click(second)
		if err := w.addBySDK(c, name, "not the password", sid, "add"); err == nil {
			t.Fatal("the address was added without the password")
		}
		if got, want := w.threepids(c), []string{email}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		if err := w.addBySDK(c, name, password, sid, "add"); err != nil {
			t.Fatal(err)
		}
		if got, want := w.threepids(c), []string{email, second}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		if got := w.devices(c); got != before {
			t.Errorf("the account has %d devices after the password was checked, want %d as before", got, before)
		}
		// The new address is as good as the first (R61).
		w.call(w.anon, "loginRequest", stack.Object{
			"type": "m.login.password", "password": password,
			"identifier": stack.Object{"type": "m.id.thirdparty", "medium": "email", "address": second},
		})
		reset := w.requestMail(w.anon, "requestPasswordEmailToken", second, "reset")
		w.click(second)
		w.call(w.anon, "setPassword", emailStage("", reset, "reset"), "new password", true)
		w.loggedIn(name, "new password", jssdk.ClientOptions{})
	})
}

// devices counts the devices of an account.
func (w *sdkWorld) devices(c *jssdk.Client) int {
	w.t.Helper()
	var list struct{ Devices []any }
	w.into(&list, c, "getDevices")
	return len(list.Devices)
}

// TestF30_AddWithAnAddressBySDK confirms who one is by the address that one
// has, the way that people without a password do.
func TestF30_AddWithAnAddressBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("prover")
		email, second := name+"@example.test", name+".second@example.test"
		w.registerBySDK(name, email)
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		sid := w.requestMail(c, "requestAdd3pidEmailToken", second, "add")
		w.click(second)
		body := stack.Object{"sid": sid, "client_secret": "add"}
		session := w.refused(http.StatusUnauthorized, "", c, "addThreePidOnly", body).Text("session")
		proof := w.requestMail(c, "requestPasswordEmailToken", email, "proof")
		body["auth"] = emailStage(session, proof, "proof")
		w.refused(http.StatusUnauthorized, "M_UNAUTHORIZED", c, "addThreePidOnly", body)
		w.click(email)
		w.call(c, "addThreePidOnly", body)
		if got, want := w.threepids(c), []string{email, second}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
	})
}

// TestF31_AddOfAnothersAddressBySDK: the real Synapse would move the address.
func TestF31_AddOfAnothersAddressBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name, owner := unique("taker"), unique("owner")
		shared := owner + "@example.test"
		w.registerBySDK(name, name+"@example.test")
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		sid := w.requestMail(c, "requestAdd3pidEmailToken", shared, "add")
		w.click(shared)
		w.registerBySDK(owner, shared) // in the meantime
		body := stack.Object{"sid": sid, "client_secret": "add", "auth": passwordStage("", name, password)}
		w.refused(http.StatusBadRequest, "M_THREEPID_IN_USE", c, "addThreePidOnly", body)
		if got, want := w.threepids(w.loggedIn(owner, password, jssdk.ClientOptions{})), []string{shared}; !slices.Equal(got, want) {
			t.Errorf("the owner has %q, want %q", got, want)
		}
		if got, want := w.threepids(c), []string{name + "@example.test"}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
	})
}

// sdkTenant is a logged-in client with an identity server and a token of it.
func (w *sdkWorld) sdkTenant(name string) (c *jssdk.Client, token string) {
	w.t.Helper()
	w.registerBySDK(name, name+"@example.test")
	c = w.loggedIn(name, password, jssdk.ClientOptions{IdentityServer: lookup.server.URL()})
	return c, w.identityToken(c)
}

// bound validates an address at the identity server and binds it, by the SDK.
func (w *sdkWorld) bound(c *jssdk.Client, token, email string) {
	w.t.Helper()
	sid := w.requestAtIdentityServer(c, email, "bind", token)
	mail, err := lookup.inbox.WaitFor(w.t.Context(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	w.submit(token, sid, mail)
	if err := w.bindBySDK(c, lookup.server.Name(), token, sid, "bind"); err != nil {
		w.t.Fatal(err)
	}
	if got := w.lookUpBySDK(c, email, token); got == "" {
		w.t.Fatal("the address was bound and is not found")
	}
}

// submit confirms what the identity server has mailed.
func (w *sdkWorld) submit(token, sid string, mail smtptest.Message) {
	w.t.Helper()
	code, err := sydent.Code(mail)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := lookup.server.Submit(w.t.Context(), token, sydent.Session{SID: sid, ClientSecret: "bind"}, code); err != nil {
		w.t.Fatal(err)
	}
}

func TestR43_R46_F26_F33_BindLookUpUnbindBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("binder")
		email := name + "@example.test"
		c, token := w.sdkTenant(name)
		w.bound(c, token, email)
		if got, want := w.unbound(c, "unbindThreePid", "email", email), "success"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := w.lookUpBySDK(c, email, token); got != "" {
			t.Errorf("got %q, want nobody", got)
		}
		if got, want := w.threepids(c), []string{email}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
	})
}

func TestF33_DeleteAndDeactivateBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("leaver")
		email, other := name+"@example.test", name+"@lookup.test"
		c, token := w.sdkTenant(name)
		w.bound(c, token, email)
		w.bound(c, token, other)
		if got, want := w.unbound(c, "deleteThreePid", "email", email), "success"; got != want {
			t.Errorf("delete: got %q, want %q", got, want)
		}
		if got := w.threepids(c); len(got) != 0 {
			t.Errorf("got addresses %q, want none", got)
		}
		if got, want := w.unbound(c, "deactivateAccount", passwordStage("", name, password), true), "success"; got != want {
			t.Errorf("deactivate: got %q, want %q", got, want)
		}
		for _, address := range []string{email, other} {
			if got := w.lookUpBySDK(c, address, token); got != "" {
				t.Errorf("got %q, want nobody", got)
			}
		}
		w.refused(http.StatusForbidden, "M_USER_DEACTIVATED", w.anon, "loginRequest", passwordLogin(name, password))
	})
}
