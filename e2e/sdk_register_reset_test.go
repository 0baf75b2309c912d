// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// registerBySDK makes an account with an address by single calls, as a client
// with a dialogue of its own does.
func (w *sdkWorld) registerBySDK(name, email string) {
	w.t.Helper()
	w.registerTyped(name, email, email)
}

// registerTyped is that with an address that is typed in another way than it is mailed to.
func (w *sdkWorld) registerTyped(name, typed, email string) {
	w.t.Helper()
	body := stack.Object{"username": name, "password": password}
	first := w.refused(http.StatusUnauthorized, "", w.anon, "registerRequest", body)
	session := first.Text("session")
	if flows, _ := json.Marshal(first.Data["flows"]); session == "" || !strings.Contains(string(flows), "m.login.email.identity") {
		w.t.Fatalf("got session %q and flows %s, want a flow with an email stage", session, flows)
	}
	sid := w.requestMail(w.anon, "requestRegisterEmailToken", typed, "reg."+name)
	body["auth"] = emailStage(session, sid, "reg."+name)
	w.refused(http.StatusUnauthorized, "", w.anon, "registerRequest", body)
	w.click(email)
	var made struct {
		UserID string `json:"user_id"`
	}
	err := w.anon.CallInto(w.t.Context(), &made, "registerRequest", body)
	var more *jssdk.SDKError
	if errors.As(err, &more) && more.HTTPStatus == http.StatusUnauthorized {
		body["auth"] = stack.Object{"type": "m.login.dummy", "session": session}
		err = w.anon.CallInto(w.t.Context(), &made, "registerRequest", body)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if want := "@" + name + ":" + w.s.ServerName; made.UserID != want {
		w.t.Fatalf("got user %q, want %q", made.UserID, want)
	}
}

func TestR1_R15_R23_R25_F38_RegisterBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("dora")
		email := name + "@example.test"
		w.registerBySDK(name, email)
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		if got, want := w.threepids(c), []string{email}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
		var who struct {
			UserID string `json:"user_id"`
		}
		w.into(&who, c, "whoami")
		if want := "@" + name + ":" + w.s.ServerName; who.UserID != want {
			t.Errorf("got user %q, want %q", who.UserID, want)
		}
	})
}

// TestR15_F38_RegisterByDialogueOfSDK leaves the decisions to the SDK: which
// flow, when to ask for the mail, what to send while the user reads it.
func TestR15_F38_RegisterByDialogueOfSDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("dialogue")
		email := name + "@example.test"
		flow, state, err := w.anon.StartAuth(t.Context(), jssdk.AuthRequest{
			Method: "registerRequest", Args: []any{stack.Object{"username": name, "password": password, "auth": jssdk.Auth}},
			Email: email, RequestToken: "requestRegisterEmailToken",
		})
		if err != nil {
			t.Fatal(err)
		}
		if state.Done || state.Stage != "m.login.email.identity" || state.EmailSID == "" {
			t.Fatalf("start: got %+v, want it to wait for the mail", state)
		}
		for range 2 {
			if state, err = flow.Poll(t.Context()); err != nil || state.Done {
				t.Fatalf("before the click: got %+v, %v; want it to wait on", state, err)
			}
			if state.Refused == nil || state.Refused.HTTPStatus != http.StatusUnauthorized {
				t.Errorf("before the click: got %v, want 401", state.Refused)
			}
		}
		w.click(email)
		if state, err = flow.Poll(t.Context()); err != nil || !state.Done {
			t.Fatalf("after the click: got %+v, %v; want it done", state, err)
		}
		c := w.loggedIn(name, password, jssdk.ClientOptions{})
		if got, want := w.threepids(c), []string{email}; !slices.Equal(got, want) {
			t.Errorf("got addresses %q, want %q", got, want)
		}
	})
}

func TestR3_R25_R28_R32_F38_F39_ResetPasswordBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("emil")
		email := name + "@example.test"
		w.register(name, email)
		old := w.loggedIn(name, password, jssdk.ClientOptions{})
		sid := w.requestMail(w.anon, "requestPasswordEmailToken", email, "secret")
		auth := emailStage("", sid, "secret")
		w.refused(http.StatusUnauthorized, "", w.anon, "setPassword", auth, "new password")
		w.loggedIn(name, password, jssdk.ClientOptions{})
		w.click(email)
		w.call(w.anon, "setPassword", auth, "new password", true)
		w.loggedIn(name, "new password", jssdk.ClientOptions{})
		w.refused(http.StatusForbidden, "M_FORBIDDEN", w.anon, "loginRequest", passwordLogin(name, password))
		w.refused(http.StatusUnauthorized, "M_UNKNOWN_TOKEN", old, "whoami")
		w.refused(http.StatusUnauthorized, "", w.anon, "setPassword", auth, "third password")
	})
}

func TestF14_ResetOfUnknownAddressBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		email := unique("nobody") + "@example.test"
		if !w.callback {
			// Nobody is asked here; the homeserver refuses at completion.
			sid := w.requestMail(w.anon, "requestPasswordEmailToken", email, "secret")
			w.click(email)
			w.refused(http.StatusNotFound, "", w.anon, "setPassword", emailStage("", sid, "secret"), "x")
			return
		}
		sid := w.requestMail(w.anon, "requestPasswordEmailToken", email, "secret")
		w.notice(email, "No account")
		w.refused(http.StatusUnauthorized, "", w.anon, "setPassword", emailStage("", sid, "secret"), "x")
	})
}

func TestR19_VersionsBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		var versions struct {
			Features map[string]bool `json:"unstable_features"`
		}
		w.into(&versions, w.anon, "getVersions")
		if required, told := versions.Features["m.require_identity_server"]; !told || required {
			t.Errorf("got features %v, want m.require_identity_server to be false", versions.Features)
		}
		for _, tc := range []struct {
			method, arg string
			want        bool
		}{
			{"isVersionSupported", "r0.5.0", true},
			{"isVersionSupported", "v1.1", false},
			{"doesServerSupportUnstableFeature", "m.lazy_load_members", true},
			{"doesServerSupportUnstableFeature", "m.require_identity_server", false},
		} {
			var got bool
			w.into(&got, w.anon, tc.method, tc.arg)
			if got != tc.want {
				t.Errorf("%s(%s): got %t, want %t", tc.method, tc.arg, got, tc.want)
			}
		}
	})
}
