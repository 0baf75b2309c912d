// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Phones says how phone numbers are verified.
type Phones struct {
	// Policy says which numbers are taken.
	Policy phone.Policy
	// Reset says that the homeserver can finish a password reset that was
	// confirmed by phone; Synapse cannot.
	Reset bool
	// Guard pays for messages.
	Guard PhoneGuard
}

// PhoneGuard keeps strangers from spending the operator's money.
type PhoneGuard interface {
	// Admit pays for one message to a number before it is sent, or refuses it
	// with an error that is the client's answer. What was paid for and not sent
	// is given back by release.
	Admit(r *http.Request, req verification.Request, to phone.Number) (release func(context.Context), err error)
	// Verified tells that a number has proven to be read by a person, who is at r.
	Verified(r *http.Request, number string)
}

// errPhoneNumber answers what is no number that a message can go to.
var errPhoneNumber = wire.Saying(http.StatusBadRequest, wire.CodeInvalidParam, wire.SayNumber, "'phone_number' is not a valid number")

// errNoPhoneReset answers a reset by phone that would lead nowhere.
var errNoPhoneReset = wire.Saying(http.StatusBadRequest, wire.CodeMediumNotSupported, wire.SayUnsupported, "This server cannot reset passwords by phone")

// supports says whether addresses of a medium are verified for a purpose.
func (c *Config) supports(medium threepid.Medium, purpose threepid.Purpose) error {
	switch {
	case medium == threepid.Email && !c.NoEmail:
		return nil
	case medium == threepid.MSISDN && c.Phones == nil:
		return wire.ErrNoPhones
	case medium == threepid.MSISDN && purpose == threepid.Password && !c.Phones.Reset:
		return errNoPhoneReset
	case medium == threepid.MSISDN:
		return nil
	}
	return wire.Saying(http.StatusBadRequest, wire.CodeMediumNotSupported, wire.SayUnsupported, "This server cannot verify addresses of this kind")
}

// idle says that nothing is verified here at all.
func (c *Config) idle() bool { return c.NoEmail && c.Phones == nil }

// dialled is a number as it was asked for.
type dialled struct {
	phone.Number
	// country is from where it was dialled, in upper case.
	country string
}

// phoneNumber reads country and phone_number (CS API, requestToken for msisdn).
func (c *Client) phoneNumber(body wire.Object) (dialled, error) {
	country, err := body.Required("country")
	if err != nil {
		return dialled{}, err
	}
	typed, err := body.Required("phone_number")
	if err != nil {
		return dialled{}, err
	}
	number, err := phone.Parse(typed, country, c.cfg.Phones.Policy)
	if errors.Is(err, phone.ErrCountry) && international(typed) {
		country = hsapi.AnyRegion
		number, err = phone.Parse(typed, country, c.cfg.Phones.Policy)
	}
	switch {
	case errors.Is(err, phone.ErrCountry):
		return dialled{}, wire.BadRequest(wire.CodeInvalidParam, "'country' must be a code of two letters (ISO 3166-1)")
	case errors.Is(err, phone.ErrKind):
		return dialled{}, wire.Saying(http.StatusForbidden, wire.CodeThreepidDenied, wire.SayBarred, "Numbers of this kind are not allowed on this server")
	case err != nil:
		return dialled{}, errPhoneNumber
	}
	return dialled{number, strings.ToUpper(country)}, nil
}

// international reports whether a number says by itself which country it is of:
// what is in the field beside it does not matter then.
func international(typed string) bool {
	dialled, ok := input.Number(typed)
	return ok && strings.HasPrefix(dialled, "+")
}

// admit pays for a message to a phone, unless the request only repeats an
// earlier one, which sends nothing. What is returned gives back what was paid
// for a message that was not sent.
func (c *Client) admit(call *wire.Call, req *verification.Request, to recipient) (settle func(ctx context.Context, sent bool), err error) {
	nothing := func(context.Context, bool) {}
	if req.Medium != threepid.MSISDN {
		return nothing, nil
	}
	due, open, err := c.svc.Due(call.R.Context(), *req)
	if err != nil {
		return nil, err
	}
	if !due {
		req.RepeatOnly = true
		return nothing, nil
	}
	release, err := c.cfg.Phones.Guard.Admit(call.R, *req, to.Number)
	if wire.MustWait(err) && !tooEarly(err) && c.loggedIn(call, *req) {
		req.LoggedIn = true
		release, err = c.cfg.Phones.Guard.Admit(call.R, *req, to.Number)
	}
	if open && tooEarly(err) {
		// The person has the code, and a refusal would take the field for it away.
		req.RepeatOnly, req.Early = true, true
		return nothing, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, sent bool) {
		if sent {
			return
		}
		ctx, cancel := wire.Detached(ctx, wire.SettleTime)
		defer cancel()
		release(ctx)
	}, nil
}

// tooEarly reports whether a number has just had a message.
func tooEarly(err error) bool {
	limit, ok := errors.AsType[*verification.LimitError](err)
	return ok && limit.Limit == verification.LimitResend
}

// confirm submits a token, and tells who pays for messages that one was read.
func (p *people) confirm(r *http.Request, sub verification.Submission) (verification.Confirmed, error) {
	ctx := r.Context()
	sub.Client, sub.Discreet = p.cfg.clientAddr(r), p.cfg.discreet()
	done, err := p.svc.Submit(ctx, sub)
	if err == nil && !done.Already && done.Medium == threepid.MSISDN && p.cfg.Phones != nil {
		p.cfg.Phones.Guard.Verified(r, done.Address)
	}
	return done, err
}

// shown is an address as people write it.
func shown(found verification.Confirmed) string {
	if found.Medium == threepid.MSISDN {
		return "+" + found.Address
	}
	return found.Address
}
