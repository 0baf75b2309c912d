// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestF15_TheOperatorSeesWhatTheRequesterDoesNot: with decoys, neither the end of a
// message nor the word of its reader reaches who asked for it, and nothing more is
// sent to that reader; the operator sees all of it.
func TestF15_TheOperatorSeesWhatTheRequesterDoesNot(t *testing.T) {
	w := newWhole(t, "callback")
	const email, gone = "victim@example.test", "gone@example.test"
	help := func(sid, secret string) string {
		t.Helper()
		query := url.Values{"help": {"1"}, "sid": {sid}, "client_secret": {secret}}.Encode()
		return w.do("GET", handlers.SubmitPath+"email/submitToken?"+query, "", nil, http.StatusOK).Body
	}
	sid := w.ask("v3", "register", "one", email)
	before := help(sid, "one")
	text := w.mailTo(email).Text()
	w.await("the note that it was sent", func() bool { return w.session(sid).Delivery == "sent" })
	link, err := url.Parse(refusalLink.FindString(text))
	if err != nil || link.Path != handlers.RefusePath {
		t.Fatalf("got no link to refuse in %s (%v)", text, err)
	}
	if a, err := w.client.Form(t.Context(), link.RequestURI(), url.Values{"List-Unsubscribe": {"One-Click"}}); err != nil || a.Status != http.StatusOK {
		t.Fatalf("got %d %s (%v), want 200", a.Status, a.Body, err)
	}
	mails := len(w.inbox.Messages())
	another := w.ask("v3", "register", "two", email)
	w.await("the end of the message", func() bool { return w.session(another).Delivery == "failed" })
	if got := len(w.inbox.Messages()); got != mails {
		t.Errorf("got %d mails to somebody who wants none, want %d", got, mails)
	}
	w.refuse.Store(true)
	failed := w.ask("v3", "register", "three", gone)
	w.await("the end of the message", func() bool { return w.session(failed).Delivery == "failed" })
	if got := w.session(sid).State; got != "revoked" {
		t.Errorf("the operator sees %q, want revoked", got)
	}
	for secret, sid := range map[string]string{"one": sid, "two": another, "three": failed} {
		if after := help(sid, secret); after != before {
			t.Errorf("%s: the help page says\n%s\nwant what it said before the mail was sent\n%s", secret, after, before)
		}
		a := w.do("POST", handlers.SubmitPath+"email/submitToken", "", stack.Object{"sid": sid, "client_secret": secret, "token": "wrong"}, http.StatusBadRequest)
		if a.Text("errcode") != "M_TOKEN_INCORRECT" {
			t.Errorf("%s: got %s, want what everybody gets", secret, a.Body)
		}
	}
	if again := w.ask("v3", "register", "one", email); again != sid {
		t.Errorf("got sid %s, want %s as before", again, sid)
	}
	w.await("the reason in the log", func() bool { return strings.Contains(w.log("caddy.log"), "its owner wants no messages for now") })
}

// TestF15_FullOutboxIsTheOperatorsBusiness: requests are answered, and the status
// says what became of them.
func TestF15_FullOutboxIsTheOperatorsBusiness(t *testing.T) {
	w := newWhole(t, "callback", "max_queued 1")
	// Nobody takes mail any more, so that it waits.
	if err := w.inbox.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		w.ask("v3", "register", fmt.Sprint("s", i), fmt.Sprintf("reader%d@example.test", i))
	}
	if status := w.admins("GET", "status", nil, http.StatusOK); !strings.Contains(status.Body, "the outbox is full") {
		t.Errorf("got status %s, want it said that the outbox is full", status.Body)
	}
	metrics, err := stack.NewClient(fmt.Sprintf("http://127.0.0.1:%d", w.admin)).Do(t.Context(), "GET", "/metrics", "", nil)
	if err != nil || !regexp.MustCompile(`caddy_threepid_sessions_total\{[^}]*"unsent"[^}]*\} [1-9]`).MatchString(metrics.Body) {
		t.Errorf("got %v and no count of requests that sent nothing", err)
	}
}
