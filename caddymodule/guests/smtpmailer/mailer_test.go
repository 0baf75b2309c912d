// SPDX-License-Identifier: Apache-2.0

package smtpmailer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// TestSecretsStayOutOfTheConfiguration: Caddy logs whole modules at times, and
// serves its configuration at the admin endpoint.
func TestSecretsStayOutOfTheConfiguration(t *testing.T) {
	t.Setenv("THREEPID_TEST_PASSWORD", "canary-password")
	mailer := judged(t, &Mailer{Sender: "a@example.org", Relay: Relay{Server: "smtp.example.org:587", Username: "u", Password: "{env.THREEPID_TEST_PASSWORD}"}})
	if mailer.cfg.Password != "canary-password" {
		t.Fatalf("got password %q, want it expanded", mailer.cfg.Password)
	}
	raw, err := json.Marshal(mailer)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(raw), `"password":"{env.THREEPID_TEST_PASSWORD}"`; !strings.Contains(got, want) || strings.Contains(got, "canary") {
		t.Errorf("got %s, want the placeholder", got)
	}
}

// judged is a mailer whose options are in order.
func judged(t *testing.T, m *Mailer) *Mailer {
	t.Helper()
	e := config.NewExpander(nil)
	m.Judge(e)
	if err := e.Err(nil); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSMTPDefaults(t *testing.T) {
	mailer := judged(t, &Mailer{Sender: "Example <a@example.org>", Relay: Relay{Server: "smtp.example.org:587"}})
	if got, want := mailer.From(), "Example <a@example.org>"; got != want {
		t.Errorf("got from %q, want %q", got, want)
	}
	// It has not been started.
	if err := mailer.Send(t.Context(), "a@example.org", "b@example.org", nil); !errors.Is(err, errNotStarted) {
		t.Errorf("got %v, want %v", err, errNotStarted)
	}
	if err := mailer.Cleanup(); err != nil {
		t.Errorf("clean up what was not started: %v", err)
	}
}

func TestSMTPMailerReadsItsCAFile(t *testing.T) {
	inbox, err := smtptest.Start(smtptest.Options{Mode: smtptest.TLS})
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	good, bad := filepath.Join(t.TempDir(), "good.pem"), filepath.Join(t.TempDir(), "bad.pem")
	if err := errors.Join(os.WriteFile(good, inbox.CAPEM(), 0o600), os.WriteFile(bad, []byte("not PEM"), 0o600)); err != nil {
		t.Fatal(err)
	}
	mailer := func(caFile, name string) (*Mailer, error) {
		m := &Mailer{Sender: "a@example.test", Relay: Relay{
			Server: inbox.Addr(), TLS: "tls", CAFile: caFile, TLSServerName: name, Timeout: caddy.Duration(10 * time.Second),
		}}
		e := config.NewExpander(nil)
		m.Judge(e)
		m.logger = zap.NewNop()
		return m, e.Err(nil)
	}
	for file, want := range map[string]string{bad: "no certificate", good + ".not": "no such file"} {
		if _, err := mailer(file, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", file, err, want)
		}
	}
	message := []byte("From: a@example.test\r\nTo: b@example.test\r\nSubject: x\r\n\r\ny\r\n")
	tests := []struct {
		name         string
		caFile, host string
		ok           bool
	}{
		{"trusted", good, "", true},
		{"trusted under its other name", good, "localhost", true},
		{"under a wrong name", good, "relay.example.test", false},
		{"unknown authority", "", "", false},
	}
	for _, test := range tests {
		m, err := mailer(test.caFile, test.host)
		if err := errors.Join(err, m.Start()); err != nil {
			t.Fatal(err)
		}
		before := len(inbox.Messages())
		err = m.Send(t.Context(), m.From(), "b@example.test", message)
		if (err == nil) != test.ok || (len(inbox.Messages()) > before) != test.ok {
			t.Errorf("%s: got error %v, want success %v", test.name, err, test.ok)
		}
		if err := m.Cleanup(); err != nil {
			t.Error(err)
		}
	}
}
