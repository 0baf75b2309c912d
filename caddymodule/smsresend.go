// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// resend sends another message of a session. One to a phone is paid for like
// any other.
func (a *App) resend(ctx context.Context, s *verification.Service, sid string) error {
	rt := a.running.Load()
	medium, number, err := s.Recipient(ctx, sid)
	if err != nil || medium != verification.MSISDN || rt == nil || rt.phones == nil {
		return s.Resend(ctx, sid)
	}
	session, err := s.Describe(ctx, sid)
	if err != nil {
		return err
	}
	segments, err := rt.phones.guard.segments(verification.Request{
		Purpose: session.Purpose, Medium: medium, Proof: verification.ProofCode, Language: session.Language, Brand: session.Brand,
	})
	if err != nil {
		return err
	}
	paid, err := rt.phones.shield.Reserve(ctx, smsfraud.Request{Digits: number, Region: phone.RegionOf(number), Segments: segments})
	if err != nil {
		return caddy.APIError{HTTPStatus: 429, Err: err}
	}
	// Not cut off by who asks: a message that was not counted might go out.
	if err := s.Resend(context.WithoutCancel(ctx), sid); err != nil {
		if back := rt.phones.shield.Release(ctx, paid); back != nil {
			a.logger.Warn("cannot give back what was reserved for a message", zap.Error(back))
		}
		return err
	}
	return nil
}
