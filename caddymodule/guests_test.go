// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

func init() {
	caddy.RegisterModule(new(guestMailer))
	caddy.RegisterModule(wrongGuest{"threepid.mailers.wrong"})
	caddy.RegisterModule(wrongGuest{"threepid.stores.wrong"})
}

// guestMailer is what a third party would write: it needs no type of ours.
type guestMailer struct {
	Fail bool `json:"fail,omitempty"`
}

// guestSent are the recipients of all guest mailers.
var guestSent = make(chan string, 100)

func (*guestMailer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.mailers.guest", New: func() caddy.Module { return new(guestMailer) }}
}

func (*guestMailer) From() string { return "guest@example.test" }

func (m *guestMailer) Start() error {
	if m.Fail {
		return errors.New("no paper left")
	}
	return nil
}

func (*guestMailer) Send(_ context.Context, from, to string, message []byte) error {
	if from == "guest@example.test" && strings.Contains(string(message), "\r\n\r\n") {
		guestSent <- to
	}
	return nil
}

// wrongGuest is a module in one of our name spaces that cannot be used.
type wrongGuest struct{ id caddy.ModuleID }

func (w wrongGuest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: w.id, New: func() caddy.Module { return &wrongGuest{w.id} }}
}

func TestR23_GuestMailer(t *testing.T) {
	app := mustProvision(t, `{"key_file":"`+t.TempDir()+`/keys","store":{"type":"badger","path":"`+t.TempDir()+`"},"mailer":{"type":"guest"}}`)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	call(t, app, tokenRequest("secret"), homeserverAnswers)
	select {
	case got := <-guestSent:
		if want := "alice@example.test"; got != want {
			t.Errorf("got recipient %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Error("the guest was given no mail")
	}
	if err := errors.Join(app.Stop(), app.Cleanup()); err != nil {
		t.Error(err)
	}
}

func TestGuestsThatCannotBeUsed(t *testing.T) {
	for config, want := range map[string]string{
		`{"mailer":{"type":"wrong"}}`: "is not a mailer",
		`{"store":{"type":"wrong"}}`:  "is not a store",
	} {
		if _, err := provision(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", config, err, want)
		}
	}
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	sid := s.open("secret", "alice@example.test")
	adapted, err := adapt(s.simple())
	if err != nil {
		t.Fatal(err)
	}
	file := `"mailer":{"path":"` + s.path("outbox") + `","type":"file"}`
	failing := strings.Replace(string(adapted), file, `"mailer":{"type":"guest","fail":true}`, 1)
	if failing == string(adapted) {
		t.Fatalf("the configuration has no %s", file)
	}
	if err := caddy.Load([]byte(failing), true); err == nil || !strings.Contains(err.Error(), "no paper left") {
		t.Errorf("got error %v, want the guest's", err)
	}
	if got := s.open("secret", "alice@example.test"); got != sid {
		t.Errorf("got another session than before, %s and not %s", got, sid)
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
	mailer := func(caFile, name string) (*SMTPMailer, error) {
		m := &SMTPMailer{Sender: "a@example.test", SMTPRelay: SMTPRelay{
			Server: inbox.Addr(), TLS: "tls", CAFile: caFile, TLSServerName: name, Timeout: caddy.Duration(10 * time.Second),
		}}
		e := newExpander()
		m.judge(e)
		m.logger = zap.NewNop()
		return m, e.err(nil)
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
