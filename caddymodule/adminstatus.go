// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
)

// Health is whether the server works.
type Health struct {
	Live bool `json:"live"`
	// Ready is there if it was asked for.
	Ready bool `json:"ready,omitempty"`
}

func adminLive(context.Context, *App) (any, error) {
	return Health{Live: true}, nil
}

// adminReady reports whether the store can serve.
func adminReady(ctx context.Context, app *App) (any, error) {
	rt, err := app.open()
	if err == nil {
		err = rt.service.Ping(ctx)
	}
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: fmt.Errorf("not ready: %w", err)}
	}
	return Health{Live: true, Ready: true}, nil
}

// Status is how deliveries are doing.
type Status struct {
	Queue  outbox.Status `json:"queue"`
	Relays []RelayState  `json:"relays"`
	// Wiring is what is wrong with how the sites are put together, as far as is
	// known without asking anybody.
	Wiring []doctor.Finding `json:"wiring,omitempty"`
	// Phones is there if phone numbers are verified.
	Phones *PhoneStatus `json:"phones,omitempty"`
}

// RelayState is how a relay has fared.
type RelayState struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Failing says that nothing gets through, although it is not left alone.
	Failing     bool       `json:"failing,omitempty"`
	RetryAt     *time.Time `json:"retry_at,omitempty"`
	LastError   string     `json:"last_error,omitempty"`
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
	// LastReply is what the relay said to it. No address is in it.
	LastReply   string     `json:"last_reply,omitempty"`
	LastSuccess *time.Time `json:"last_success,omitempty"`
	Sent        uint64     `json:"sent"`
	Refused     uint64     `json:"refused"`
	Failed      uint64     `json:"failed"`
	// Uncertain is how many of the failed ones may have been taken all the same.
	Uncertain uint64 `json:"uncertain,omitempty"`
	InFlight  int    `json:"in_flight"`
}

func adminStatus(ctx context.Context, app *App) (any, error) {
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	status := Status{Relays: app.relayStates(), Wiring: app.advised(app.wirings()...)}
	if status.Queue, err = rt.outbox.Status(ctx); err != nil {
		return nil, err
	}
	if rt.phones != nil {
		status.Phones, err = app.phoneStatus(ctx, rt)
	}
	return status, err
}

// serving is the runtime, with its store held open.
func (a *App) serving() (*runtime, func(), error) {
	rt, err := a.open()
	if err != nil {
		return nil, nil, caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	return rt, rt.store.hold(), nil
}

func (a *App) relayStates() []RelayState {
	states := []RelayState{}
	relayed, ok := a.mailer.(guest.Relays)
	if !ok {
		return states
	}
	for _, s := range relayed.Status() {
		states = append(states, RelayState{
			Name: s.Name, State: s.State, Failing: s.Failing, LastError: s.LastError, LastReply: s.LastReply, Uncertain: s.Uncertain, Sent: s.Sent, Refused: s.Refused, Failed: s.Failed, InFlight: s.InFlight,
			RetryAt: known(s.RetryAt), LastErrorAt: known(s.LastErrorAt), LastSuccess: known(s.LastSuccess),
		})
	}
	return states
}

// known is nil for a time that is not.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// adminDoctor looks for what is wrong.
func adminDoctor(ctx context.Context, app *App, _ nothing) (any, error) {
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	return doctor.Run(ctx, app.examination(caddy.ActiveContext(), rt)), nil
}

// testRequest is the body of send-test.
type testRequest struct {
	To string `json:"to"`
}

// TestResult is what became of a test mail.
type TestResult struct {
	Sent bool `json:"sent"`
	// Problem says why it was not.
	Problem string `json:"problem,omitempty"`
	// Uncertain says that it may have been sent all the same.
	Uncertain bool `json:"uncertain,omitempty"`
	// Said is what the relay replied. It may repeat the address.
	Said string `json:"said,omitempty"`
	// Folder is where it was written, if nothing is sent.
	Folder string `json:"folder,omitempty"`
	// Relays is how the relays are doing after it.
	Relays []RelayState `json:"relays,omitempty"`
}

// What an error of a mailer may know besides.
type (
	unsure interface {
		error
		Uncertain() bool
	}
	quoting interface {
		error
		Said() string
	}
)

var errNoMailer = errors.New("there is no mailer: it is switched off in the configuration")

// adminSendTest sends one mail past the queue, so that the operator sees at
// once what the relay says to it.
func adminSendTest(ctx context.Context, app *App, req testRequest) (any, error) {
	if number := input.NumberOrWord(req.To); strings.HasPrefix(number, "+") {
		return app.sendTestSMS(ctx, number)
	}
	to, err := address.Email(input.Address(req.To))
	if err != nil {
		return nil, refused(errors.New("'to' is neither an email address nor a phone number that begins with +"))
	}
	if app.mailer == nil {
		return nil, refused(errNoMailer)
	}
	raw, from, err := app.testMail(to)
	if err != nil {
		return nil, err
	}
	result := TestResult{Sent: true}
	if err := app.mailer.Send(ctx, from, to, raw); err != nil {
		result = TestResult{Problem: err.Error()}
		if failed, ok := errors.AsType[unsure](err); ok {
			result.Uncertain = failed.Uncertain()
		}
		if quoting, ok := errors.AsType[quoting](err); ok {
			result.Said = quoting.Said()
		}
	}
	result.Relays = app.relayStates()
	result.Folder = app.mailFolder()
	return result, nil
}

// testMail composes a mail that carries no token.
func (a *App) testMail(to string) (raw []byte, from string, err error) {
	_, from, err = mail.Sender(a.mailer.From())
	if err != nil {
		return nil, "", err
	}
	m := mail.Message{
		From: a.mailer.From(), To: to, Subject: "Test of " + a.settings.http.PublicURL,
		Text:      "This mail was sent by the operator of " + a.settings.http.PublicURL + " to test its mail relay. There is nothing to do.\n",
		HTML:      "<p>This mail was sent by the operator of this server to test its mail relay. There is nothing to do.</p>",
		MessageID: testMessageID(from), Date: time.Now(),
	}
	m.DKIM = dkimOf(a.mailer)
	raw, err = mail.Compose(m)
	return raw, from, err
}
