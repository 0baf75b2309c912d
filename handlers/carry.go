// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// errNoWay hangs on the address's letters and our relays alone, so that it is the
// same whether or not anybody has the address (ADR 25).
var errNoWay = wire.BadRequest(wire.CodeInvalidParam,
	"This server cannot send mail to addresses with such letters before the @. Please use another email address")

// carries refuses an address to which no mail of ours can go: its session would
// wait for a message that is never sent.
func (c *Config) carries(ctx context.Context, medium verification.Medium, address string) error {
	if medium == verification.Email && c.CannotCarry != nil && c.CannotCarry(ctx, address) {
		return errNoWay
	}
	return nil
}
