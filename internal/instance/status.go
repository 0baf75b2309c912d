// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// Relays are how the relays have fared, if the mailer has some.
func (i *Instance) Relays() []guest.RelayStatus {
	if relayed, ok := i.cfg.Mailer.(guest.Relays); ok {
		return relayed.Status()
	}
	return nil
}

// Gateways are how the gateways of messages to phones have fared.
func (i *Instance) Gateways() []guest.RelayStatus {
	if i.phones == nil {
		return nil
	}
	all := []guest.RelayStatus{}
	for _, s := range i.phones.router.Status() {
		all = append(all, guest.RelayStatus{
			Name: s.Name, State: s.State, Failing: s.Failing(), Uncertain: s.Uncertain, LastError: s.LastError, LastReply: s.LastReply,
			Sent: s.Sent, Refused: s.Refused, Failed: s.Failed, InFlight: s.InFlight,
			RetryAt: s.RetryAt, LastErrorAt: s.LastErrorAt, LastSuccess: s.LastSuccess,
		})
	}
	return all
}

// Phones reports whether phone numbers are verified.
func (i *Instance) Phones() bool { return i.phones != nil }

// Gate says when a message for a registration is sent.
func (i *Instance) Gate() handlers.Gate { return i.cfg.HTTP.RegistrationGate }

// Currency is that of prices and budgets, or empty.
func (i *Instance) Currency() string { return i.cfg.SMS.Currency }

// Spent is what is spent on messages to phones, and paused.
func (i *Instance) Spent(ctx context.Context) (smsfraud.Status, error) {
	if i.phones == nil {
		return smsfraud.Status{}, ErrNoSMS
	}
	return i.phones.shield.Status(ctx)
}

// Resume lifts the pause of a prefix, or all if it is empty, and reports whether
// there was one.
func (i *Instance) Resume(ctx context.Context, prefix string) (bool, error) {
	if i.phones == nil {
		return false, ErrNoSMS
	}
	return i.phones.shield.Resume(ctx, prefix)
}
