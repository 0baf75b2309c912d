// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// UnpaidError is why a message that an operator asks for is not sent: it would cost
// more than is left, or go where none may.
type UnpaidError struct{ error }

// Unwrap gives access to the cause.
func (e *UnpaidError) Unwrap() error { return e.error }

// Resend sends another message of a session. One to a phone is paid for like
// any other.
func (i *Instance) Resend(ctx context.Context, sid threepid.SID) error {
	to, err := i.Service.Recipient(ctx, sid)
	if err != nil || to.Medium != threepid.MSISDN || i.phones == nil {
		return i.Service.Resend(ctx, sid)
	}
	session, err := i.Service.Describe(ctx, sid)
	if err != nil {
		return err
	}
	segments, err := i.phones.guard.segments(verification.Request{
		Purpose: session.Purpose, ThreePID: to, Proof: verification.ProofCode, Language: session.Language, Brand: session.Brand,
	})
	if err != nil {
		return err
	}
	paid, err := i.phones.shield.Reserve(ctx, smsfraud.Request{Digits: to.Address, Region: phone.RegionOf(to.Address), Class: ratelimit.Owner, Segments: segments})
	if err != nil {
		return &UnpaidError{err}
	}
	// Not cut off by who asks: a message that was not counted might go out.
	if err := i.Service.Resend(context.WithoutCancel(ctx), sid); err != nil {
		if back := i.phones.shield.Release(ctx, paid); back != nil {
			i.logger.Warn("cannot give back what was reserved for a message", zap.Error(back))
		}
		return err
	}
	return nil
}
