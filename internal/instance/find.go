// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Found is everything that is known here of an address, but for what others are told
// in confidence: no token, no secret, no client.
type Found struct {
	// Pseudonym is what logs of today call the address.
	Pseudonym string
	// Suppressed is there if the address gets no messages.
	Suppressed *feedback.Entry
	// Unwanted is until when its owner wants none, or zero.
	Unwanted time.Time
	// Denied is the rule of the policy that refuses the address, or empty.
	Denied   string
	Limits   []LimitUse
	Messages []FoundMessage
	More     bool
}

// LimitUse is how far a limit is used up that requests for the address meet,
// whoever makes them.
type LimitUse struct {
	Limit   string
	Purpose threepid.Purpose
	// Used and Of count requests; zero where it is not a count that refuses.
	Used, Of int
	Per      time.Duration
	// Until is when the next request passes; zero if it does now.
	Until time.Time
	// Always says that none ever does.
	Always bool
}

// FoundMessage is one session, with the newest of its messages.
type FoundMessage struct {
	verification.Found
	Waiting outbox.Waiting // zero if it does not wait
}

// MaxListed bounds a list.
const MaxListed = 1000

// Find says why a person has got a message or not. It changes nothing.
func (i *Instance) Find(ctx context.Context, id threepid.ThreePID) (*Found, error) {
	found := &Found{Pseudonym: i.Service.Pseudonym(id.Address)}
	entry, listed, err := i.Suppression.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if listed {
		found.Suppressed = &entry
	}
	if id.Medium == threepid.Email {
		if v := i.cfg.EmailPolicy.Check(ctx, id.Address); v.Action == emailpolicy.Refused {
			found.Denied = string(v.Rule)
		}
	}
	if err := i.findLimits(ctx, id, found); err != nil {
		return nil, err
	}
	return found, i.findMessages(ctx, id, found)
}

func (i *Instance) findLimits(ctx context.Context, id threepid.ThreePID, found *Found) error {
	domain := ""
	if id.Medium == threepid.Email {
		domain = handlers.Registrable(id.Address)
	}
	limits, unwanted, err := i.Service.Limits(ctx, id, domain)
	if err != nil {
		return err
	}
	found.Unwanted = unwanted
	for _, l := range limits {
		found.Limits = append(found.Limits, LimitUse{
			Limit: string(l.Limit), Purpose: l.Purpose, Used: l.Used, Of: l.Limited.Burst, Per: l.Limited.Per, Until: l.Until,
		})
	}
	if i.phones == nil || id.Medium != threepid.MSISDN {
		return nil
	}
	state, err := i.phones.shield.Ask(ctx, smsfraud.Request{Digits: id.Address, Region: phone.RegionOf(id.Address), Class: ratelimit.Newcomer, Segments: 1})
	if err != nil {
		return err
	}
	found.Limits = append(found.Limits, LimitUse{Limit: "number", Used: state.Sent, Of: state.Limit, Per: 24 * time.Hour})
	if r := state.Refused; r != nil {
		refused := LimitUse{Limit: string(r.Why), Always: r.RetryAfter == 0}
		if !refused.Always {
			refused.Until = time.Now().Add(r.RetryAfter)
		}
		found.Limits = append(found.Limits, refused)
	}
	return nil
}

func (i *Instance) findMessages(ctx context.Context, id threepid.ThreePID, found *Found) error {
	list, err := i.Service.FindByAddress(ctx, id)
	if err != nil {
		return err
	}
	found.More = len(list) > MaxListed
	for _, f := range list[:min(len(list), MaxListed)] {
		waiting, _, err := i.Store.Outbox.Look(ctx, f.MessageID)
		if err != nil {
			return err
		}
		found.Messages = append(found.Messages, FoundMessage{f, waiting})
	}
	return nil
}
