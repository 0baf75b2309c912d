// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/jssdk"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestF19_OneMailboxInEverySpellingBySDK: whoever has registered with a domain in its own
// script logs in, resets the password and takes the address away by any spelling of
// it, and nobody gets a second account by one. Everything is called as Element calls it.
func TestF19_OneMailboxInEverySpellingBySDK(t *testing.T) {
	bothModesBySDK(t, func(t *testing.T, w *sdkWorld) {
		name := unique("umlaut")
		script, ascii := name+"@bücher.example", name+"@xn--bcher-kva.example"
		spellings := []string{script, ascii, name + "@BÜCHER.Example", name + "@bu\u0308cher.example", name + "@XN--BCHER-KVA.example"}
		w.registerTyped(name, script, ascii)
		w.loginsByAddress(name, password, spellings)
		w.refused(http.StatusForbidden, "M_FORBIDDEN", w.anon, "loginRequest", addressLogin(script, "another"))

		for _, typed := range spellings {
			w.notASecond(name, typed, ascii)
		}
		if w.callback {
			w.notice(ascii, "already") // and there is one of them a day
		}
		latest := password
		for _, typed := range []string{ascii, name + "@bu\u0308cher.example"} {
			latest += "!"
			secret := unique("reset")
			sid := w.requestMail(w.anon, "requestPasswordEmailToken", typed, secret)
			w.click(ascii)
			w.call(w.anon, "setPassword", emailStage("", sid, secret), latest, true)
			w.loginsByAddress(name, latest, spellings)
		}
		c := w.loggedIn(name, latest, jssdk.ClientOptions{})
		if got := w.threepids(c); !slices.Equal(got, []string{ascii}) {
			t.Errorf("got addresses %q, want %q", got, ascii)
		}
		w.call(c, "deleteThreePid", "email", spellings[2])
		if got := w.threepids(c); len(got) != 0 {
			t.Errorf("got addresses %q after the deletion", got)
		}
	})
}

// addressLogin is a log-in by an address.
func addressLogin(typed, pw string) stack.Object {
	return stack.Object{
		"type": "m.login.password", "password": pw,
		"identifier": stack.Object{"type": "m.id.thirdparty", "medium": "email", "address": typed},
	}
}

// loginsByAddress logs in by each spelling, as clients of today do and as those of then.
func (w *sdkWorld) loginsByAddress(name, pw string, spellings []string) {
	w.t.Helper()
	for _, typed := range spellings {
		then := stack.Object{"type": "m.login.password", "password": pw, "medium": "email", "address": typed}
		for _, body := range []stack.Object{addressLogin(typed, pw), then} {
			var made struct {
				UserID string `json:"user_id"`
			}
			w.into(&made, w.anon, "loginRequest", body)
			if want := "@" + name + ":" + w.s.ServerName; made.UserID != want {
				w.t.Errorf("typed %+q: got user %q, want %q", typed, made.UserID, want)
			}
		}
	}
}

// notASecond tries to register another account with an address. With checks there is
// nothing to confirm; without, the homeserver refuses at the end.
func (w *sdkWorld) notASecond(name, typed, mailed string) {
	w.t.Helper()
	secret := unique("second")
	sid := w.requestMail(w.anon, "requestRegisterEmailToken", typed, secret)
	body := stack.Object{"username": "second." + name, "password": password}
	session := w.refused(http.StatusUnauthorized, "", w.anon, "registerRequest", body).Text("session")
	body["auth"] = emailStage(session, sid, secret)
	if w.callback {
		w.refused(http.StatusUnauthorized, "", w.anon, "registerRequest", body)
		return
	}
	w.click(mailed)
	w.refused(http.StatusBadRequest, "M_THREEPID_IN_USE", w.anon, "registerRequest", body)
}
