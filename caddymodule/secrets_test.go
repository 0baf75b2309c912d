// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const (
	canaryAddress = "canary.address@example.test"
	canarySecret  = "canary-client-secret"
	canaryToken   = "canary-id-access-token"
)

// TestAdvisory13_NothingSecretIsWrittenDown goes the whole way, and wrong ways, with
// everything logged that Caddy can log, and then reads every file and every
// metric.
func TestAdvisory13_NothingSecretIsWrittenDown(t *testing.T) {
	for _, checks := range []string{"off", "callback"} {
		t.Run(checks, func(t *testing.T) {
			w := newWhole(t, checks)
			sid, learned := w.register()
			secrets := append(w.canaries(), learned...)
			w.manage(learned[1])
			w.goWrong(sid)
			keys := w.lookAfter()
			if logged := w.log("access.log"); !strings.Contains(logged, "&REDACTED") {
				t.Error("the access log does not show that there was something to be redacted")
			}
			for _, text := range []string{`"msg":"handled request"`, `"msg":"tried to deliver message"`, `"pseudonym":"`, `"msg":"address added"`, `"msg":"address bound"`, `"msg":"address deleted"`, `"msg":"a new key is in use"`} {
				if !strings.Contains(w.log("caddy.log"), text) {
					t.Errorf("the log has no %s", text)
				}
			}
			w.readMetrics(append(keys, secrets...))
			// With everything in it written to the disk.
			w.mustLoad(w.without())
			w.readFiles(secrets, keys...)
		})
	}
}

func (w *whole) readMetrics(secrets []string) {
	w.t.Helper()
	metrics, err := stack.NewClient(fmt.Sprintf("http://127.0.0.1:%d", w.admin)).Do(w.t.Context(), "GET", "/metrics", "", nil)
	if err != nil || !strings.Contains(metrics.Body, "caddy_threepid_sessions_total") {
		w.t.Fatalf("got %d (%v) for the metrics", metrics.Status, err)
	}
	found(w.t, secrets, "metrics", metrics.Body)
}

// readFiles reads every file of the site: the store, the logs, the settings.
// The keys may stand in their own file.
func (w *whole) readFiles(secrets []string, keys ...string) {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		found(w.t, secrets, path, string(raw))
		if d.Name() != "keys.json" {
			found(w.t, keys, path, string(raw))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// canaries are what is secret from the beginning.
func (w *whole) canaries() []string {
	return []string{canaryAddress, "canary.address", canarySecret, relayPassword, oldPassword, newPassword, canaryToken}
}

// found reports which of the secrets a text has.
func found(t *testing.T, secrets []string, where, text string) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s has %q: …%q…", where, form, text[max(0, at-200):min(len(text), at+100)])
				break
			}
		}
	}
}

// register makes an account, and returns its session and what became secret on
// the way. The link is opened as an old client would, with everything in the
// query.
func (w *whole) register() (sid string, learned []string) {
	w.t.Helper()
	body := stack.Object{"username": "alice", "password": oldPassword}
	session := w.do("POST", "/_matrix/client/r0/register", "", body, http.StatusUnauthorized).Text("session")
	sid = w.ask("r0", "register", canarySecret, canaryAddress)
	link, err := url.Parse(w.link(canaryAddress))
	if err != nil {
		w.t.Fatal(err)
	}
	token := link.Query().Get("token")
	full := link.Path + "?" + url.Values{"sid": {sid}, "client_secret": {canarySecret}, "token": {token}}.Encode()
	w.do("GET", full, "", nil, http.StatusOK)
	w.do("HEAD", full, "", nil, http.StatusOK)
	w.do("PUT", full, "", nil, http.StatusMethodNotAllowed)
	w.do("POST", link.Path, "", stack.Object{"sid": sid, "client_secret": canarySecret, "token": "wrong"}, http.StatusBadRequest)
	w.do("POST", link.Path, "", stack.Object{"sid": sid, "client_secret": canarySecret, "token": token}, http.StatusOK)
	body["auth"] = stack.EmailAuth(session, stack.Creds(sid, canarySecret))
	w.do("POST", "/_matrix/client/r0/register", "", body, http.StatusOK)
	access := w.login("alice", oldPassword, http.StatusOK)
	w.do("GET", "/_matrix/client/r0/account/3pid", access, nil, http.StatusOK)
	return sid, []string{token, access}
}

// manage adds an address with the password, tries to bind it, and takes it
// away.
func (w *whole) manage(access string) {
	w.t.Helper()
	const second, base = "second." + canaryAddress, "/_matrix/client/v3/account/3pid/"
	body := stack.Object{"sid": w.ask("v3", "account/3pid", canarySecret, second), "client_secret": canarySecret}
	w.click(second)
	w.do("POST", base+"add", access, body, http.StatusUnauthorized)
	for _, try := range []struct {
		password string
		want     int
	}{{newPassword, http.StatusUnauthorized}, {oldPassword, http.StatusOK}} {
		body["auth"] = stack.Object{"type": "m.login.password", "password": try.password, "user": "alice"}
		w.do("POST", base+"add", access, body, try.want)
	}
	// There is nobody who would be trusted to answer.
	bind := stack.Object{"id_server": "localhost:1", "id_access_token": canaryToken, "sid": "1", "client_secret": canarySecret}
	w.do("POST", base+"bind", access, bind, http.StatusBadRequest)
	bind["id_server"] = "nobody.invalid"
	w.do("POST", base+"bind", access, bind, http.StatusBadGateway)
	threepid := stack.Object{"medium": "email", "address": second}
	w.do("POST", base+"unbind", access, threepid, http.StatusOK)
	w.do("POST", base+"delete", access, threepid, http.StatusOK)
}

// goWrong goes wrong in every way that is reported with a cause: a relay that
// repeats the address in its reply, a homeserver that breaks off in the middle
// of its answer.
func (w *whole) goWrong(sid string) {
	w.t.Helper()
	w.refuse.Store(true)
	before := w.metric("caddy_threepid_messages_total")
	w.do("POST", "/_matrix/client/r0/account/password/email/requestToken", "",
		stack.Object{"client_secret": canarySecret, "email": canaryAddress, "send_attempt": 1}, http.StatusOK)
	w.await("the refusal of the mail", func() bool { return w.metric("caddy_threepid_messages_total") > before })
	for _, after := range []int{0, 10} {
		w.hs.AbortNext(1, after)
		w.do("POST", "/_matrix/client/r0/register", "", stack.Object{
			"username": "canary.address", "password": oldPassword,
			"auth": stack.EmailAuth("x", stack.Creds(sid, canarySecret)),
		}, http.StatusBadGateway)
	}
	w.do("POST", "/_matrix/client/r0/account/password", "", stack.Object{
		"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds("unknown", canarySecret)),
	}, http.StatusBadRequest)
}

// lookAfter does what operators do: it rotates the keys, makes a backup, which
// then lies beside the store, and forgets an address. It returns the secrets of
// the keys.
func (w *whole) lookAfter() (keys []string) {
	w.t.Helper()
	keys = append(keys, w.keySecret())
	if text, err := w.command("rotate-keys"); err != nil {
		w.t.Fatalf("got %q, %v", text, err)
	}
	keys = append(keys, w.keySecret())
	if keys[0] == keys[1] {
		w.t.Error("the key was not rotated")
	}
	if text, err := w.command("backup", "--output", w.path("backup")); err != nil {
		w.t.Fatalf("got %q, %v", text, err)
	}
	if gone := w.forgets(canaryAddress); gone.Entries == 0 {
		w.t.Error("nothing was forgotten")
	}
	return keys
}

// refusal is a reply that repeats what it was told, as many relays do.
func refusal(stage, address string) error {
	return smtptest.Reply(550, "5.1.1 <"+address+">: no such mailbox here ("+stage+")")
}
