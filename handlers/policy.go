// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// EmailPolicy is the operator's decision about an email address in canonical
// form: whether it is refused.
type EmailPolicy func(ctx context.Context, email string) (refused bool)

// errDenied answers for an address that the operator's rules refuse. Which of
// them it was is not the client's business.
var errDenied = wire.Saying(http.StatusForbidden, wire.CodeThreepidDenied, wire.SayDenied, "Addresses of this domain are not allowed on this server")

// judge applies the policy, before anything is stored, asked or sent.
//
// A reset gives nobody an address that is not theirs yet, so a rule that came
// later does not lock its owner out. Nor does one end a session that was open.
func (c *Client) judge(ctx context.Context, req verification.Request) error {
	if c.cfg.EmailPolicy == nil || req.Medium != verification.Email || req.Purpose == verification.Password {
		return nil
	}
	if c.cfg.EmailPolicy(ctx, req.Address) {
		return errDenied
	}
	return nil
}
