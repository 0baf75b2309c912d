// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
)

// Health is whether the server works.
type Health struct {
	Live bool `json:"live"`
	// Ready is there if it was asked for.
	Ready bool `json:"ready,omitempty"`
}

func live(context.Context, *caddymodule.App) (any, error) {
	return Health{Live: true}, nil
}

// ready reports whether the store can serve.
func ready(ctx context.Context, app *caddymodule.App) (any, error) {
	inst, err := app.Open()
	if err == nil {
		err = inst.Service.Ping(ctx)
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
	// GateClosed says that nothing is left for newcomers, see LimitsState.
	GateClosed bool `json:"gate_closed,omitempty"`
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

func showStatus(ctx context.Context, app *caddymodule.App) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	status := Status{Relays: statesOf(inst.Relays()), Wiring: app.Wiring(), GateClosed: gateClosed(inst)}
	if status.Queue, err = inst.Store.Outbox.Status(ctx); err != nil {
		return nil, err
	}
	if inst.Phones() {
		status.Phones, err = phoneStatus(ctx, inst)
	}
	return status, err
}

// serving is the instance, with its store held open.
func serving(app *caddymodule.App) (*instance.Instance, func(), error) {
	inst, err := app.Open()
	if err != nil {
		return nil, nil, caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	return inst, inst.Store.Hold(), nil
}

// statesOf are how relays or gateways have fared.
func statesOf(list []guest.RelayStatus) []RelayState {
	states := make([]RelayState, 0, len(list))
	for _, s := range list {
		states = append(states, RelayState{
			Name: s.Name, State: s.State, Failing: s.Failing, LastError: s.LastError, LastReply: s.LastReply, Uncertain: s.Uncertain,
			Sent: s.Sent, Refused: s.Refused, Failed: s.Failed, InFlight: s.InFlight,
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

// runDoctor looks for what is wrong.
func runDoctor(ctx context.Context, app *caddymodule.App, _ Nothing) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	return doctor.Run(ctx, app.Examination(caddy.ActiveContext(), inst)), nil
}

// TestRequest is the body of send-test.
type TestRequest struct {
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

// sendTest sends one message past the queue, so that the operator sees at
// once what the relay or the gateway says to it.
func sendTest(ctx context.Context, app *caddymodule.App, req TestRequest) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	sent, err := inst.SendTest(ctx, req.To)
	if err != nil {
		return nil, notSent(err)
	}
	result := TestResult{Sent: sent.Err == nil, Folder: sent.Folder, Relays: statesOf(inst.Relays())}
	if sent.Phone {
		result.Relays = statesOf(inst.Gateways())
	}
	if sent.Err == nil {
		return result, nil
	}
	result.Problem = sent.Err.Error()
	if failed, ok := errors.AsType[unsure](sent.Err); ok && !sent.Phone {
		result.Uncertain = failed.Uncertain()
	}
	if quoting, ok := errors.AsType[quoting](sent.Err); ok {
		result.Said = quoting.Said()
	}
	return result, nil
}

// notSent tells what the operator has caused from what has failed.
func notSent(err error) error {
	if unpaid, ok := errors.AsType[*instance.UnpaidError](err); ok {
		return refused(unpaid.Unwrap())
	}
	for _, theirs := range []error{instance.ErrNotAddress, instance.ErrNotNumber, instance.ErrNoMailer, instance.ErrNoSMS} {
		if errors.Is(err, theirs) {
			return refused(err)
		}
	}
	return err
}
