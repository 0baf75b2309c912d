// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// EmailRules are what the operator, and the relays, have to say of an email address in
// canonical form.
type EmailRules interface {
	// Refused is the operator's decision about who may register with an address or
	// add one.
	Refused(ctx context.Context, email string) bool
	// CannotCarry reports that no mail of ours can go there, whoever has the address.
	CannotCarry(ctx context.Context, email string) bool
}

var (
	// errDenied answers for an address that the operator's rules refuse. Which of
	// them it was is not the client's business.
	errDenied = wire.Saying(http.StatusForbidden, wire.CodeThreepidDenied, wire.SayDenied, "Addresses of this domain are not allowed on this server")
	// errNoWay hangs on the address's letters and our relays alone, so that it is the
	// same whether or not anybody has the address (ADR 25).
	errNoWay = wire.BadRequest(wire.CodeInvalidParam,
		"This server cannot send mail to addresses with such letters before the @. Please use another email address")
)

// permits applies the rules, before anything is stored, asked or sent: a session for an
// address to which no mail can go would wait for a message that is never sent.
//
// A reset gives nobody an address that is not theirs yet, so a rule that came
// later does not lock its owner out. Nor does one end a session that was open.
func (c *Config) permits(ctx context.Context, req verification.Request) error {
	if c.Emails == nil || req.Medium != threepid.Email {
		return nil
	}
	if c.Emails.CannotCarry(ctx, req.Address) {
		return errNoWay
	}
	if req.Purpose != threepid.Password && c.Emails.Refused(ctx, req.Address) {
		return errDenied
	}
	return nil
}

// unwanted reports whether the operator's rules refuse a reader. As for the
// messages of resets, there are none for their notices: they go where the token
// went.
func (c *Config) unwanted(ctx context.Context, reader verification.Reader) bool {
	return reader.Notice != verification.NoticePassword && c.Emails != nil && c.Emails.Refused(ctx, reader.Address)
}
