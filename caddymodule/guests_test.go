// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
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
