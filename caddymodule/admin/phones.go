// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
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

// PauseState is a prefix that nothing is sent to, or the pseudonym of a network that
// nothing is sent for.
type PauseState struct {
	Prefix  string    `json:"prefix,omitempty"`
	Country string    `json:"country,omitempty"`
	Network string    `json:"network,omitempty"`
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
		state := PauseState{Prefix: p.Name, Country: p.Region, Since: p.Since, Until: p.Until}
		if p.Network {
			state.Prefix, state.Network = "", p.Name
		}
		out.Paused = append(out.Paused, state)
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

// ResumeRequest says whose pause is lifted: that of a prefix like "+4479001", that of a
// network like "network-0123456789", or all.
type ResumeRequest struct {
	Prefix  string `json:"prefix"`
	Network string `json:"network,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// What is resumed, empty for all; it must be one of them.
func (r ResumeRequest) What() (text string, ok bool) {
	given := 0
	for _, is := range []bool{r.Prefix != "", r.Network != "", r.All} {
		if is {
			given++
		}
	}
	return cmp.Or(input.NumberOrWord(r.Prefix), input.Trim(r.Network)), given == 1
}

// Resumed says whether there was a pause to be lifted.
type Resumed struct {
	Resumed bool `json:"resumed"`
}

func resume(ctx context.Context, app *caddymodule.App, req ResumeRequest) (any, error) {
	what, ok := req.What()
	if !ok {
		return nil, refused(errors.New("name one of a prefix, a network and all"))
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	lifted, err := inst.Resume(ctx, what)
	if errors.Is(err, instance.ErrNoSMS) {
		return nil, refused(err)
	}
	return Resumed{lifted}, err
}
