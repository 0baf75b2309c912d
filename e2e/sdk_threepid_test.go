// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// addBySDK adds a validated address to an account as Element does: the SDK's
// dialogue around addThreePidOnly, with the password when it is asked for. The
// error is an [*jssdk.SDKError] if the server refused.
func (w *sdkWorld) addBySDK(c *jssdk.Client, name, pw, sid, secret string) error {
	w.t.Helper()
	flow, state, err := c.StartAuth(w.t.Context(), jssdk.AuthRequest{
		Method: "addThreePidOnly", Args: []any{stack.Object{"sid": sid, "client_secret": secret, "auth": jssdk.Auth}},
	})
	if err != nil || state.Done {
		return err
	}
	if state.Stage != "m.login.password" {
		w.t.Fatalf("addThreePidOnly: got stage %q, want the password", state.Stage)
	}
	if state, err = flow.Submit(w.t.Context(), passwordStage("", name, pw)); err != nil || state.Done {
		return err
	}
	if state.Refused == nil {
		return errors.New("addThreePidOnly: the dialogue goes on though nothing was refused")
	}
	return state.Refused
}

// identityToken logs a client's user in at its identity server, with an OpenID
// token of the homeserver.
func (w *sdkWorld) identityToken(c *jssdk.Client) string {
	w.t.Helper()
	openID := map[string]any{}
	w.into(&openID, c, "getOpenIdToken")
	var got struct {
		Token       string `json:"token"` // as the first identity servers called it
		AccessToken string `json:"access_token"`
	}
	w.into(&got, c, "registerWithIdentityServer", openID)
	if got.AccessToken != "" {
		return got.AccessToken
	}
	if got.Token == "" {
		w.t.Fatal("registerWithIdentityServer: got no token")
	}
	return got.Token
}

// requestAtIdentityServer has the client's identity server send a mail, and
// returns the sid of its session.
func (w *sdkWorld) requestAtIdentityServer(c *jssdk.Client, email, secret, token string) string {
	w.t.Helper()
	var got struct {
		SID string `json:"sid"`
	}
	w.into(&got, c, "requestEmailToken", email, secret, 1, nil, token)
	return got.SID
}

// bindBySDK binds an address that an identity server (host and port) has
// validated. The error is an [*jssdk.SDKError] if the server refused.
func (w *sdkWorld) bindBySDK(c *jssdk.Client, idServer, token, sid, secret string) error {
	w.t.Helper()
	_, err := c.Call(w.t.Context(), "bindThreePid", stack.Object{
		"sid": sid, "client_secret": secret, "id_server": idServer, "id_access_token": token,
	})
	return err
}

// lookUpBySDK returns the user that the client's identity server knows under
// an address, or "".
func (w *sdkWorld) lookUpBySDK(c *jssdk.Client, email, token string) string {
	w.t.Helper()
	var got struct {
		UserID string `json:"mxid"`
	}
	w.into(&got, c, "lookupThreePid", "email", email, token)
	return got.UserID
}

// unbound calls unbindThreePid, deleteThreePid or deactivateAccount and returns
// the result that it tells.
func (w *sdkWorld) unbound(c *jssdk.Client, method string, args ...any) string {
	w.t.Helper()
	var got struct {
		Result string `json:"id_server_unbind_result"`
	}
	w.into(&got, c, method, args...)
	return got.Result
}
