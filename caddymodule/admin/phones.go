// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// PhoneStatus is what is spent on messages to phones, and what is paused.
type PhoneStatus struct {
	Currency string        `json:"currency,omitempty"`
	Senders  []RelayState  `json:"senders"`
	Budgets  []BudgetState `json:"budgets"`
	Paused   []PauseState  `json:"paused"`
	// Conversion is how many of the codes that were sent came back, by prefix.
	Conversion []ConversionState `json:"conversion"`
}

// BudgetState is how far a budget is used up, in messages or in money.
type BudgetState struct {
	Of    string `json:"of"`
	Unit  string `json:"unit"`
	Per   string `json:"per"`
	Used  string `json:"used"`
	Limit string `json:"limit"`
}

// PauseState is a prefix that nothing is sent to.
type PauseState struct {
	Prefix  string    `json:"prefix"`
	Country string    `json:"country"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// ConversionState is how many codes were sent to a prefix, and came back.
type ConversionState struct {
	Prefix   string `json:"prefix"`
	Country  string `json:"country"`
	Sent     int64  `json:"sent"`
	Verified int64  `json:"verified"`
}

func showPhones(ctx context.Context, app *caddymodule.App) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	if !inst.Phones() {
		return nil, refused(instance.ErrNoSMS)
	}
	return phoneStatus(ctx, inst)
}

func phoneStatus(ctx context.Context, inst *instance.Instance) (*PhoneStatus, error) {
	spent, err := inst.Spent(ctx)
	if err != nil {
		return nil, err
	}
	out := &PhoneStatus{
		Currency: inst.Currency(), Senders: statesOf(inst.Gateways()),
		Budgets: []BudgetState{}, Paused: []PauseState{}, Conversion: []ConversionState{},
	}
	for _, b := range spent.Budgets {
		out.Budgets = append(out.Budgets, BudgetState{
			Of: b.Of, Unit: instance.UnitWord(b.Unit), Per: instance.WindowWord(b.Per), Used: amountOf(b.Unit, b.Used), Limit: amountOf(b.Unit, b.Limit),
		})
	}
	for _, p := range spent.Paused {
		out.Paused = append(out.Paused, PauseState{p.Prefix, p.Region, p.Since, p.Until})
	}
	for _, r := range spent.Prefixes {
		out.Conversion = append(out.Conversion, ConversionState{r.Prefix, r.Region, r.Sent, r.Verified})
	}
	return out, nil
}

func amountOf(unit smsfraud.Unit, n int64) string {
	if unit == smsfraud.Amount {
		return smsfraud.Money(n).String()
	}
	return fmt.Sprint(n)
}

// ResumeRequest says whose pause is lifted: a prefix like "+4479001", or empty
// for all.
type ResumeRequest struct {
	Prefix string `json:"prefix"`
	All    bool   `json:"all,omitempty"`
}

// Resumed says whether there was a pause to be lifted.
type Resumed struct {
	Resumed bool `json:"resumed"`
}

func resume(ctx context.Context, app *caddymodule.App, req ResumeRequest) (any, error) {
	if (req.Prefix == "") != req.All {
		return nil, refused(errors.New("name either a prefix or all"))
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	lifted, err := inst.Resume(ctx, input.NumberOrWord(req.Prefix))
	if errors.Is(err, instance.ErrNoSMS) {
		return nil, refused(err)
	}
	return Resumed{lifted}, err
}
