// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// thiefs are headers by which a thief would word a mail, or have its reader take
// it for spam.
var thiefs = http.Header{
	"User-Agent":      {"Element/1.6 (x; Android 14) http://evil.example <b>call 0900</b>"},
	"Accept-Language": {"ja"},
}

// post sends JSON with some more headers.
func (w *world) post(path, token string, header http.Header, body stack.Object) stack.Answer {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.s.Public+path, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := stack.Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(text)}
	if json.Unmarshal(text, &a.JSON) != nil {
		a.JSON = nil
	}
	return a
}

// arrived waits for the next mail to an address.
func (w *world) arrived(email string) smtptest.Message {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.s.Inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail arrived: %v; Caddy's log:\n%s", err, w.s.Caddy.Logs())
	}
	return m
}

// wantNotice waits for a notice, which says what was done, and has nothing that
// acts and nothing of the client's.
func (w *world) wantNotice(email, words string) {
	w.t.Helper()
	m := w.arrived(email)
	if !strings.Contains(m.Subject(), words) {
		w.t.Fatalf("got a mail with the subject %q, want one with %q", m.Subject(), words)
	}
	for _, part := range []string{m.Text(), m.HTML()} {
		if !strings.Contains(part, "Element (Android)") || !strings.Contains(part, "UTC") || strings.Contains(part, "://") {
			w.t.Errorf("the mail does not say when and where, or has a link:\n%s", part)
		}
		for _, sent := range []string{"evil", "0900", "<b>", "example.test"} {
			if strings.Contains(part, sent) {
				w.t.Errorf("the mail has %q of the client's:\n%s", sent, part)
			}
		}
	}
}

// addAs adds an address as a thief would.
func (w *world) addAs(token, email string) {
	w.t.Helper()
	secret := unique("add")
	creds := stack.Creds(w.validated("account/3pid", secret, email), secret)
	w.want(w.post("/_matrix/client/r0/account/3pid", token, thiefs, stack.Object{"three_pid_creds": creds}), http.StatusOK)
}

func (w *world) removeAs(token, email string) {
	w.t.Helper()
	w.want(w.post("/_matrix/client/v3/account/3pid/delete", token, thiefs, stack.Object{"medium": "email", "address": email}), http.StatusOK)
}

func (w *world) resetAs(email string) {
	w.t.Helper()
	secret := unique("reset")
	creds := stack.Creds(w.validated("account/password", secret, email), secret)
	a := w.post("/_matrix/client/v3/account/password", "", thiefs, stack.Object{"new_password": password, "auth": stack.EmailAuth("", creds)})
	w.want(a, http.StatusOK)
}

// TestNotices in front of a real Synapse, with a real relay: each change of an
// account is told to its addresses, in the language of their owner and not in
// that of a thief, and a loop fills no mailbox.
func TestNotices(t *testing.T) {
	noticesStreet.bothModes(t, func(t *testing.T, w *world) {
		name := unique("alice")
		first, second := name+"@alice.test", name+".second@alice.test"
		w.register(name, first)
		token := w.login(name, password)

		w.addAs(token, second)
		w.wantNotice(second, "Your address was added to an account on 127.0.0.1")
		w.wantNotice(first, "An address was added to your account on 127.0.0.1")

		w.resetAs(second)
		w.wantNotice(second, "Your password on 127.0.0.1")
		token = w.login(name, password)

		w.removeAs(token, second)
		w.wantNotice(second, "Your address was removed from an account on 127.0.0.1")
		w.wantNotice(first, "An address was removed from your account on 127.0.0.1")

		for i := range 5 {
			thief := fmt.Sprintf("%s.thief%d@evil.test", name, i)
			w.addAs(token, thief)
			w.removeAs(token, thief)
		}
		w.removeAs(token, first)
		for m := w.arrived(first); !strings.Contains(m.Subject(), "Your address was removed"); m = w.arrived(first) {
			t.Logf("%s before", m.Subject())
		}
		count := map[string]int{}
		for _, subject := range w.notices(first) {
			count[subject]++
		}
		for subject, n := range count {
			if n > 3 {
				t.Errorf("%q came %d times, want three times at most", subject, n)
			}
		}
		if strings.Contains(w.s.Caddy.Logs(), "alice.test") {
			t.Error("an address is in the log")
		}
	})
}

// notices are the subjects of those that have come to an address.
func (w *world) notices(email string) (subjects []string) {
	for _, m := range w.s.Inbox.Messages() {
		if m.To == email && strings.Contains(m.Subject(), " was ") {
			subjects = append(subjects, m.Subject())
		}
	}
	return subjects
}

// TestNoticesOff: nobody is told. What is sent afterwards overtakes nothing.
func TestNoticesOff(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("untold")
		first, second := name+"@alice.test", name+"@second.test"
		w.register(name, first)
		token := w.login(name, password)
		w.addAs(token, second)
		w.resetAs(second)
		token = w.login(name, password)
		w.removeAs(token, second)
		for i := range 3 {
			w.request("account/password", fmt.Sprint("later", i), first)
			w.arrived(first)
		}
		for _, email := range []string{first, second} {
			if got := w.notices(email); len(got) != 0 {
				t.Errorf("%s was told %q", email, got)
			}
		}
	})
}

// TestAnotherRequestIsMentioned in the mail of the second, whoever has asked.
func TestAnotherRequestIsMentioned(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		const mention = "Another request like this one is open"
		name := unique("twice")
		email := name + "@alice.test"
		w.register(name, email)
		for i, want := range []bool{false, true} {
			body := stack.Object{"client_secret": fmt.Sprint("s", i), "email": email, "send_attempt": 1}
			agent := http.Header{"User-Agent": thiefs["User-Agent"]}
			w.want(w.post("/_matrix/client/v3/account/password/email/requestToken", "", agent, body), http.StatusOK)
			m := w.arrived(email)
			text := strings.Join(strings.Fields(m.Text()), " ")
			if strings.Contains(text, mention) != want {
				t.Errorf("mail %d mentions another: %v, want %v\n%s", i, !want, want, text)
			}
			if !strings.Contains(text, "Element (Android)") || strings.Contains(text, "evil") {
				t.Errorf("mail %d: it does not say from where, or says what the client has sent:\n%s", i, text)
			}
			link, ok := m.Link()
			if !ok {
				t.Fatal("the mail has no link")
			}
			page := w.must(w.c.Do(t.Context(), http.MethodGet, strings.TrimPrefix(link, w.s.Public), "", nil))
			if strings.Contains(page.Body, mention) != want || !strings.Contains(page.Body, "Element (Android)") {
				t.Errorf("the page of mail %d:\n%s", i, page.Body)
			}
		}
	})
}
