// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// deviceIDs returns those of an account.
func (w *sdkWorld) deviceIDs(c *jssdk.Client) []string {
	w.t.Helper()
	var list struct {
		Devices []struct {
			ID string `json:"device_id"`
		}
	}
	w.into(&list, c, "getDevices")
	var ids []string
	for _, device := range list.Devices {
		ids = append(ids, device.ID)
	}
	return ids
}

// byPassword makes a call for which the SDK has to prove the password, after a
// wrong one.
func (w *sdkWorld) byPassword(c *jssdk.Client, name, method string, args ...any) {
	w.t.Helper()
	ctx := w.t.Context()
	flow, state, err := c.StartAuth(ctx, jssdk.AuthRequest{Method: method, Args: args})
	for _, guess := range []string{"not the password", password} {
		if err != nil || state.Done || state.Stage != "m.login.password" {
			w.t.Fatalf("%s: got %+v, %v; want it to ask for the password", method, state, err)
		}
		state, err = flow.Submit(ctx, elementsPassword(name, guess))
	}
	if err != nil || !state.Done {
		w.t.Fatalf("%s: got %+v, %v; want it done", method, state, err)
	}
}

// TestLeavingBySDK: sessions are ended one by one and together, and at last the
// account.
func TestLeavingBySDK(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		name := unique("leaver")
		w.user(name)
		sdk := w.bySDK(t, newSDK)
		c := sdk.loggedIn(name, password, jssdk.ClientOptions{})
		own := sdk.deviceIDs(c)
		for range 3 {
			sdk.loggedIn(name, password, jssdk.ClientOptions{})
		}
		ended := slices.DeleteFunc(sdk.deviceIDs(c), func(id string) bool { return slices.Contains(own, id) })
		sdk.byPassword(c, name, "deleteDevice", ended[0], jssdk.Auth)
		sdk.byPassword(c, name, "deleteMultipleDevices", ended[1:], jssdk.Auth)
		if left := sdk.deviceIDs(c); slices.ContainsFunc(left, func(id string) bool { return slices.Contains(ended, id) }) {
			t.Errorf("got devices %q, want none of %q", left, ended)
		}
		sdk.byPassword(c, name, "deactivateAccount", jssdk.Auth, false)
		w.want(w.must(w.c.Login(t.Context(), name, password)), http.StatusForbidden)
		sdk.refused(http.StatusUnauthorized, "M_UNKNOWN_TOKEN", c, "whoami")
	})
}

// TestLeaving_ANameIsWorthOneThing: the name of a conversation in which the
// password was proven is none at another endpoint, and the homeserver's own name
// for it is none anywhere.
func TestLeaving_ANameIsWorthOneThing(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		ctx, name := t.Context(), unique("owner")
		token := w.user(name)
		post := func(c *stack.Client, path string, auth stack.Object) stack.Answer {
			body := stack.Object{"devices": []string{name}, "new_password": "thief"}
			if auth != nil {
				body["auth"] = auth
			}
			as := token
			if path == "register" {
				as = "" // a user is refused there
			}
			return w.must(c.Do(ctx, "POST", "/_matrix/client/r0/"+path, as, body))
		}
		const remove = "delete_devices"
		session := w.want(post(w.c, remove, nil), http.StatusUnauthorized).Text("session")
		raw := w.nameOf(name)
		proof := elementsPassword(name, password)
		proof["session"] = session
		w.want(post(w.c, remove, proof), http.StatusOK)
		for _, path := range []string{"account/deactivate", "account/password", "register"} {
			for what, other := range map[string]string{"of another endpoint": session, "raw": raw} {
				a := post(w.c, path, stack.Object{"session": other})
				if completed, _ := w.want(a, http.StatusUnauthorized).JSON["completed"].([]any); len(completed) != 0 {
					t.Errorf("%s, a name that is %s: got %s, want nothing completed", path, what, a.Body)
				}
			}
		}
		w.want(post(w.c, remove, stack.Object{"session": raw}), http.StatusUnauthorized)
		w.login(name, password)
		// It is the right one: the homeserver itself believes it.
		w.want(post(stack.NewClient(w.s.Direct), remove, stack.Object{"session": raw}), http.StatusOK)
	})
}
