// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// FoundAddress is why a person has got a message or not: everything that is known
// here of their address, but for what others are told in confidence: no token, no
// secret, no client. The address is not in it, only where a relay has repeated it.
type FoundAddress struct {
	Medium string `json:"medium"`
	// Pseudonym is what logs of today call the address.
	Pseudonym string `json:"pseudonym"`
	// Suppressed is there if the address gets no messages.
	Suppressed *Suppressed `json:"suppressed,omitempty"`
	// Unwanted is until when its owner wants none: "I did not ask for this".
	Unwanted *time.Time `json:"unwanted,omitempty"`
	// Denied is the rule of email_policy that refuses the address where somebody
	// registers or adds it.
	Denied   string       `json:"denied,omitempty"`
	Limits   []LimitUse   `json:"limits"`
	Messages []FoundState `json:"messages"`
	More     bool         `json:"more,omitempty"`
}

// LimitUse is how far a limit is used up that requests for the address meet,
// whoever makes them.
type LimitUse struct {
	Limit   string `json:"limit"`
	Purpose string `json:"purpose,omitempty"`
	// Used and Of count requests in so many seconds; zero where it is not a count
	// that refuses.
	Used    int `json:"used"`
	Of      int `json:"of"`
	Seconds int `json:"seconds"`
	// Until is when the next request passes; it is there if none does now.
	Until *time.Time `json:"until,omitempty"`
	// Always says that none ever does.
	Always bool `json:"always,omitempty"`
}

// FoundState is one session, with the newest of its messages.
type FoundState struct {
	SessionInfo
	// Spelling says that it is about another spelling of the same mailbox.
	Spelling bool `json:"spelling,omitempty"`
	// Reply is what was last said when a message was not taken.
	Reply   string     `json:"reply,omitempty"`
	ReplyAt *time.Time `json:"reply_at,omitempty"`
	// Deliveries is how often a message that still waits was tried, and Next when
	// it will be again.
	Deliveries int        `json:"deliveries,omitempty"`
	Next       *time.Time `json:"next,omitempty"`
}

func adminFindAddress(ctx context.Context, app *App, req addressRequest) (any, error) {
	return app.onAddress(req, func(rt *runtime, person addressRequest) (any, error) { return app.find(ctx, rt, person) })
}

func (a *App) find(ctx context.Context, rt *runtime, person addressRequest) (*FoundAddress, error) {
	found := &FoundAddress{
		Medium: string(person.Medium), Pseudonym: rt.service.Pseudonym(person.Address), Limits: []LimitUse{}, Messages: []FoundState{},
	}
	entry, listed, err := rt.suppression.Lookup(ctx, person.Medium, person.Address)
	if err != nil {
		return nil, err
	}
	if listed {
		found.Suppressed = &Suppressed{
			Pseudonym: found.Pseudonym, Medium: found.Medium, Reason: string(entry.Reason), Code: entry.Code, Since: entry.Since, Until: entry.Until,
		}
	}
	if person.Medium == verification.Email {
		if v := a.settings.email.Check(ctx, person.Address); v.Action == emailpolicy.Refused {
			found.Denied = string(v.Rule)
		}
	}
	if err := rt.findLimits(ctx, person, found); err != nil {
		return nil, err
	}
	return found, rt.findMessages(ctx, person, found)
}

func (rt *runtime) findLimits(ctx context.Context, person addressRequest, found *FoundAddress) error {
	domain := ""
	if person.Medium == verification.Email {
		domain = handlers.Registrable(person.Address)
	}
	limits, unwanted, err := rt.service.Limits(ctx, person.Medium, person.Address, domain)
	if err != nil {
		return err
	}
	found.Unwanted = known(unwanted)
	for _, l := range limits {
		found.Limits = append(found.Limits, LimitUse{
			Limit: string(l.Limit), Purpose: string(l.Purpose), Used: l.Used, Of: l.Limited.Burst,
			Seconds: int(l.Limited.Per / time.Second), Until: known(l.Until),
		})
	}
	if rt.phones == nil || person.Medium != verification.MSISDN {
		return nil
	}
	state, err := rt.phones.shield.Ask(ctx, smsfraud.Request{Digits: person.Address, Region: phone.RegionOf(person.Address), Segments: 1})
	if err != nil {
		return err
	}
	found.Limits = append(found.Limits, LimitUse{Limit: "number", Used: state.Sent, Of: state.Limit, Seconds: int((24 * time.Hour) / time.Second)})
	if r := state.Refused; r != nil {
		refused := LimitUse{Limit: string(r.Why), Always: r.RetryAfter == 0}
		if !refused.Always {
			refused.Until = known(time.Now().Add(r.RetryAfter))
		}
		found.Limits = append(found.Limits, refused)
	}
	return nil
}

func (rt *runtime) findMessages(ctx context.Context, person addressRequest, found *FoundAddress) error {
	list, err := rt.service.FindByAddress(ctx, person.Medium, person.Address)
	if err != nil {
		return err
	}
	found.More = len(list) > maxListed
	for _, f := range list[:min(len(list), maxListed)] {
		state := FoundState{SessionInfo: infoOf(f.Admin), Spelling: f.Spelling}
		if f.Reply.Text != "" {
			state.Reply, state.ReplyAt = f.Reply.Text, known(time.UnixMilli(f.Reply.At))
		}
		waiting, there, err := rt.outbox.Look(ctx, f.MessageID)
		if err != nil {
			return err
		}
		if there {
			state.Deliveries, state.Next = waiting.Tries, known(waiting.Next)
		}
		found.Messages = append(found.Messages, state)
	}
	return nil
}
