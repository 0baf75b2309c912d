// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// through is a site whose mail goes by a double.
func (w *whole) through(script smtptest.Script) *smtptest.Double {
	w.t.Helper()
	double, err := smtptest.StartDouble(script)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(double.Close)
	w.mustLoad(w.mailing("server " + double.Addr() + "\ntls none\n"))
	return double
}

// mailing is the configuration with another relay.
func (w *whole) mailing(relay string) string {
	head, rest, _ := strings.Cut(w.loaded, "mailer smtp {")
	_, tail, _ := strings.Cut(rest, "\n}")
	return head + "mailer smtp {\n" + relay + "from noreply@example.test\n}" + tail
}

// TestOperatorIsShownWhatTheRelaySaid where they have named the address; what
// they have not named is in no status, and nothing of it in a log.
func TestOperatorIsShownWhatTheRelaySaid(t *testing.T) {
	w := newWhole(t, "off")
	w.through(smtptest.Script{Says: map[string]string{"RCPT": "550-5.7.0 no mail for <somebody@example.test>\x1b[31m\r\n550 5.7.0 see https://relay.test/why\r\n"}})
	text, err := w.command("send-test", "--to", "somebody@example.test")
	if want := "The relay said: no mail for <somebody@example.test> [31m see https://relay.test/why"; err == nil || !strings.Contains(text, want) {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
	if text, _ := w.command("status"); strings.Contains(text, "somebody") || strings.Contains(text, "relay.test/why") {
		t.Errorf("got status %q", text)
	}
	if log := w.log("caddy.log"); strings.Contains(log, "somebody@") || strings.Contains(log, "relay.test/why") {
		t.Error("what the relay said is in the log")
	}
}

// TestStatusIsNotInOrderWhileEveryMailFails, before the breaker opens.
func TestStatusIsNotInOrderWhileEveryMailFails(t *testing.T) {
	w := newWhole(t, "off")
	w.through(smtptest.Script{Says: map[string]string{"MAIL": "550 5.7.1 <noreply@example.test> is not yours\r\n"}})
	if text, err := w.command("send-test", "--to", "somebody@example.test"); err == nil {
		t.Errorf("got %q, want it refused", text)
	}
	text, err := w.command("status")
	if err == nil || strings.Contains(text, "in order") || !strings.Contains(text, "failing") || !strings.Contains(text, "it said: <[address]> is not yours") {
		t.Errorf("got %q, %v, want it failing, and why", text, err)
	}
	text, err = w.command("doctor")
	if err == nil || !strings.Contains(text, "The relay said: <<address>> is not yours") && !strings.Contains(text, "[address]> is not yours") {
		t.Errorf("got %q, %v, want what the relay said", text, err)
	}
}

// TestAddressThatNoRelayCarries is refused at once, by the first request after a
// start as well, and one that can be carried is not.
func TestAddressThatNoRelayCarries(t *testing.T) {
	w := newWhole(t, "off")
	w.through(smtptest.Script{})
	ask := func(secret, email string) stack.Answer {
		t.Helper()
		return w.settled(func() (stack.Answer, error) {
			return w.client.RequestToken(t.Context(), "v3", "register", secret, email)
		})
	}
	a := ask("one", "müller@example.test")
	if a.Status != http.StatusBadRequest || a.Text("errcode") != "M_INVALID_PARAM" || !strings.Contains(a.Text("error"), "another email address") {
		t.Errorf("got %d %s, want a refusal that says what to do", a.Status, a.Body)
	}
	if a := ask("two", "me@müller.example"); a.Status != http.StatusOK {
		t.Errorf("got %d %s, want the mail sent: its domain is ASCII to relays", a.Status, a.Body)
	}
}

// TestPortThatTellsItsTLSIsRefused when the configuration is loaded.
func TestPortThatTellsItsTLSIsRefused(t *testing.T) {
	w := newWhole(t, "off")
	for relay, want := range map[string]string{"server smtp.example.org:465\n": "from the first byte", "server smtp.example.org:587\ntls \"tls\"\n": "begins in plain text"} {
		if err := w.load(w.mailing(relay)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", relay, err, want)
		}
	}
}

// TestReloadWhileARelayIsSlow does not wait for it, and makes no second mail: the
// outbox of before hears the answer.
func TestReloadWhileARelayIsSlow(t *testing.T) {
	w := newWhole(t, "off")
	double := w.through(smtptest.Script{Says: map[string]string{"DOT": "250-kept\r\n" + smtptest.Hold + "250 ok\r\n"}, Times: 1})
	w.settled(func() (stack.Answer, error) {
		return w.client.RequestToken(t.Context(), "v3", "register", "secret", "somebody@example.test")
	})
	w.await("the mail", func() bool { return len(double.Taken()) == 1 })
	for range 2 {
		w.mustLoad(strings.Replace(w.loaded, "from noreply@", "from nobody@", 1))
		w.mustLoad(strings.Replace(w.loaded, "from nobody@", "from noreply@", 1))
	}
	if got := len(double.Taken()); got != 1 {
		t.Errorf("got %d mails while the relay was silent, want one", got)
	}
	double.Release()
	w.await("the end", func() bool {
		text, err := w.command("status", "--json")
		var status admin.Status
		return err == nil && json.Unmarshal([]byte(text), &status) == nil && status.Queue.Waiting["email"] == 0
	})
	if got := len(double.Taken()); got != 1 {
		t.Errorf("got %d mails, want one", got)
	}
}

// TestSendTestInDoubt says that it is not known whether the mail was sent.
func TestSendTestInDoubt(t *testing.T) {
	w := newWhole(t, "off")
	w.through(smtptest.Script{Says: map[string]string{"DOT": smtptest.Drop}, Takes: true})
	text, err := w.command("send-test", "--to", "somebody@example.test")
	if err == nil || !strings.Contains(text, "It may have been sent, or not") {
		t.Errorf("got %q, %v, want doubt", text, err)
	}
	if text, err = w.command("status"); err == nil || !strings.Contains(text, "failing") {
		t.Errorf("got status %q, %v, want it failing", text, err)
	}
}

// TestStatusTellsWhatALogInCouldBe, of those methods that the relay offers.
func TestStatusTellsWhatALogInCouldBe(t *testing.T) {
	w := newWhole(t, "off")
	w.mustLoad(strings.Replace(w.loaded, "username ", "auth scram-sha-256-plus\nusername ", 1))
	for _, cmd := range []string{"send-test", "status", "doctor"} {
		args := []string{}
		if cmd == "send-test" {
			args = []string{"--to", "somebody@example.test"}
		}
		if text, err := w.command(cmd, args...); err == nil || !strings.Contains(text, "it offers PLAIN") {
			t.Errorf("%s: got %q, %v, want what is offered", cmd, text, err)
		}
	}
}
