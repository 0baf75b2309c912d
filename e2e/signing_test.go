// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// crossSigningKeys makes the three keys of a user (CS API, "Cross-signing"), the
// latter two signed with the first.
func crossSigningKeys(t *testing.T, user string) (keys stack.Object, master string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawStdEncoding.EncodeToString
	master = encode(public)
	key := func(usage string, public ed25519.PublicKey) stack.Object {
		text := encode(public)
		return stack.Object{"user_id": user, "usage": []string{usage}, "keys": stack.Object{"ed25519:" + text: text}}
	}
	keys = stack.Object{"master_key": key("master", public)}
	for _, usage := range []string{"self_signing", "user_signing"} {
		other, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		signed := key(usage, other)
		text, err := json.Marshal(signed) // canonical: sorted, and nothing in it to escape
		if err != nil {
			t.Fatal(err)
		}
		signed["signatures"] = stack.Object{user: stack.Object{"ed25519:" + master: encode(ed25519.Sign(private, text))}}
		keys[usage+"_key"] = signed
	}
	return keys, master
}

// TestCrossSigningBySDK: whoever replaces their keys proves the password, in a
// conversation. Synapse 1.3.1 has no such endpoint, and says so through us.
func TestCrossSigningBySDK(t *testing.T) {
	eachSynapse(t, func(t *testing.T, w *heard) {
		ctx, name := t.Context(), unique("signer")
		w.user(name)
		sdk := w.bySDK(t, newSDK)
		c := sdk.loggedIn(name, password, jssdk.ClientOptions{})
		user := "@" + name + ":" + w.s.ServerName
		keys, _ := crossSigningKeys(t, user)
		if !w.newest {
			sdk.refused(http.StatusBadRequest, "M_UNRECOGNIZED", c, "uploadDeviceSigningKeys", nil, keys)
			w.begins(name) // so that there was a conversation
			return
		}
		sdk.call(c, "uploadDeviceSigningKeys", nil, keys) // the first keys need no proof (MSC3967)
		keys, master := crossSigningKeys(t, user)
		flow, state, err := c.StartAuth(ctx, jssdk.AuthRequest{Method: "uploadDeviceSigningKeys", Args: []any{jssdk.Auth, keys}})
		for _, guess := range []string{"not the password", password} {
			if err != nil || state.Done || state.Stage != "m.login.password" {
				t.Fatalf("got %+v, %v; want it to ask for the password", state, err)
			}
			if known := w.masterKey(user, name); known == master {
				t.Fatal("the keys were replaced without the password")
			}
			state, err = flow.Submit(ctx, elementsPassword(name, guess))
		}
		if err != nil || !state.Done {
			t.Fatalf("got %+v, %v; want it done", state, err)
		}
		if got := w.masterKey(user, name); got != master {
			t.Errorf("got the key %q, want %q", got, master)
		}
	})
}

// elementsPassword is the password stage as Element sends it, to servers that know
// only "user", too. The SDK adds the session.
func elementsPassword(name, pw string) stack.Object {
	auth := passwordStage("", name, pw)
	auth["user"] = name
	return auth
}

// begins has the homeserver begin a registration.
func (h *heard) begins(name string) {
	h.t.Helper()
	h.want(h.must(h.c.Do(h.t.Context(), "POST", "/_matrix/client/v3/register", "", stack.Object{"username": "x" + name, "password": password})), http.StatusUnauthorized)
}

// masterKey returns the key that others see.
func (h *heard) masterKey(user, name string) string {
	h.t.Helper()
	token := h.login(name, password)
	a := h.want(h.must(h.c.Do(h.t.Context(), "POST", "/_matrix/client/v3/keys/query", token, stack.Object{"device_keys": stack.Object{user: []string{}}})), http.StatusOK)
	var got struct {
		MasterKeys map[string]struct{ Keys map[string]string } `json:"master_keys"`
	}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		h.t.Fatal(err)
	}
	for _, key := range got.MasterKeys[user].Keys {
		return key
	}
	return ""
}
