// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// newSDK and oldSDK are the SDKs of the tests whose names end with BySDK, that of today
// and that of years ago: one process each, whose clients know nothing of one another.
var newSDK, oldSDK = runSDK(jssdk.Install), runSDK(jssdk.InstallOld)

// runSDK starts an SDK when the first test asks for it.
func runSDK(install func(context.Context, func(string, ...any)) (jssdk.Env, error)) func() (*jssdk.Session, error) {
	return sync.OnceValues(func() (*jssdk.Session, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		env, err := install(ctx, logf)
		if err != nil {
			return nil, err
		}
		session, err := jssdk.Start(ctx, env, jssdk.Options{CAFile: lookup.caFile})
		if err == nil {
			atTheEnd(session.Close)
		}
		return session, err
	})
}

// sdkWorld is a world seen through a client of today.
type sdkWorld struct {
	*world
	sdk *jssdk.Session
	// anon is a client that nobody has logged in with.
	anon *jssdk.Client
}

// bothModesBySDK runs a test in front of each stack, with the SDK of today.
func bothModesBySDK(t *testing.T, run func(t *testing.T, w *sdkWorld)) {
	t.Helper()
	bothModes(t, func(t *testing.T, w *world) { run(t, w.bySDK(t, newSDK)) })
}

// bySDK shows a world to one of the two SDKs.
func (w *world) bySDK(t *testing.T, sdk func() (*jssdk.Session, error)) *sdkWorld {
	t.Helper()
	session, err := sdk()
	if errors.Is(err, jssdk.ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("NOT PROVEN HERE: this test needs matrix-js-sdk: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the SDK's log ends:\n%s", session.Logs())
		}
	})
	sw := &sdkWorld{world: w, sdk: session}
	sw.anon = sw.client(jssdk.ClientOptions{})
	return sw
}

// client makes a client of the public site.
func (w *sdkWorld) client(opts jssdk.ClientOptions) *jssdk.Client {
	w.t.Helper()
	opts.BaseURL = w.s.Public
	c, err := w.sdk.NewClient(w.t.Context(), opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// loggedIn logs a user in and makes a client of it, with an identity server's
// URL and token if opts name them.
func (w *sdkWorld) loggedIn(name, pw string, opts jssdk.ClientOptions) *jssdk.Client {
	w.t.Helper()
	var got struct {
		UserID      string `json:"user_id"`
		AccessToken string `json:"access_token"`
		DeviceID    string `json:"device_id"`
	}
	w.into(&got, w.anon, "loginRequest", passwordLogin(name, pw))
	if want := "@" + name + ":" + w.s.ServerName; got.UserID != want {
		w.t.Fatalf("got user %q, want %q", got.UserID, want)
	}
	opts.UserID, opts.AccessToken, opts.DeviceID = got.UserID, got.AccessToken, got.DeviceID
	return w.client(opts)
}

// passwordLogin is what Element sends to log in.
func passwordLogin(name, pw string) stack.Object {
	return stack.Object{
		"type": "m.login.password", "password": pw,
		"identifier": stack.Object{"type": "m.id.user", "user": name}, "initial_device_display_name": "a test",
	}
}

// call calls a method that has to succeed.
func (w *sdkWorld) call(c *jssdk.Client, method string, args ...any) json.RawMessage {
	w.t.Helper()
	raw, err := c.Call(w.t.Context(), method, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// into is call with the result decoded.
func (w *sdkWorld) into(value any, c *jssdk.Client, method string, args ...any) {
	w.t.Helper()
	if err := c.CallInto(w.t.Context(), value, method, args...); err != nil {
		w.t.Fatal(err)
	}
}

// refused calls a method that the server has to refuse with a status and, if
// it is not empty, an errcode.
func (w *sdkWorld) refused(status int, errcode string, c *jssdk.Client, method string, args ...any) *jssdk.SDKError {
	w.t.Helper()
	raw, err := c.Call(w.t.Context(), method, args...)
	var refusal *jssdk.SDKError
	if !errors.As(err, &refusal) {
		w.t.Fatalf("%s: got %s, %v; want it refused with %d", method, raw, err, status)
	}
	if refusal.HTTPStatus != status || (errcode != "" && refusal.Errcode != errcode) {
		w.t.Fatalf("%s: got %v, want %d %s", method, refusal, status, errcode)
	}
	return refusal
}

// requestMail calls one of the requestToken methods and returns the sid.
func (w *sdkWorld) requestMail(c *jssdk.Client, method, email, secret string) string {
	w.t.Helper()
	var got struct {
		SID string `json:"sid"`
	}
	w.into(&got, c, method, email, secret, 1)
	if got.SID == "" {
		w.t.Fatalf("%s: got no sid", method)
	}
	return got.SID
}

// click opens the link of the mail to an address and presses its button.
func (w *sdkWorld) click(email string) {
	w.t.Helper()
	page, done, err := w.c.Click(w.t.Context(), w.link(email))
	w.want(w.must(page, err), http.StatusOK)
	w.want(done, http.StatusOK)
}

// emailStage is the auth dict of the email stage as Element writes it: without
// an identity server, and without a session if that is empty.
func emailStage(session, sid, secret string) stack.Object {
	auth := stack.Object{"type": "m.login.email.identity", "threepid_creds": stack.Creds(sid, secret)}
	if session != "" {
		auth["session"] = session
	}
	return auth
}

// passwordStage is the auth dict of the password stage as Element writes it,
// without a session if that is empty.
func passwordStage(session, name, pw string) stack.Object {
	auth := stack.Object{
		"type": "m.login.password", "password": pw,
		"identifier": stack.Object{"type": "m.id.user", "user": name},
	}
	if session != "" {
		auth["session"] = session
	}
	return auth
}

// threepids returns the addresses of an account.
func (w *sdkWorld) threepids(c *jssdk.Client) []string {
	w.t.Helper()
	var got struct {
		Threepids []struct{ Medium, Address string }
	}
	w.into(&got, c, "getThreePids")
	var list []string
	for _, threepid := range got.Threepids {
		list = append(list, threepid.Address)
	}
	return list
}
