// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// phoneGuard has the shield pay for messages.
type phoneGuard struct {
	shield *smsfraud.Shield
	sender *outbox.SMSSender
	client func(*http.Request) netip.Addr
	logger *zap.Logger
}

func (g *phoneGuard) Admit(r *http.Request, req verification.Request, to phone.Number) (func(context.Context), error) {
	segments, err := g.segments(req)
	if err != nil {
		return nil, err
	}
	paid, err := g.shield.Reserve(r.Context(), smsfraud.Request{
		Digits: to.Digits, Region: to.Region, Client: g.client(r), Class: req.Class(), Segments: segments,
	})
	if err != nil {
		return nil, refusalOf(err)
	}
	return func(ctx context.Context) {
		if err := g.shield.Release(ctx, paid); err != nil {
			// It counts as spent, which errs on the operator's side.
			g.logger.Warn("cannot give back what was reserved for a message", zap.Error(err))
		}
	}, nil
}

// segments is what the message will take. Its code has six digits like any
// other.
func (g *phoneGuard) segments(req verification.Request) (int, error) {
	text, err := g.sender.Text(verification.Message{
		Purpose: req.Purpose, Medium: req.Medium, Proof: req.Proof, Token: "000000", Language: req.Language, Brand: req.Brand,
	})
	return gsm7.Of(text).Segments, err
}

func (g *phoneGuard) Verified(r *http.Request, number string) {
	if err := g.shield.Verified(r.Context(), number, phone.RegionOf(number), g.client(r)); err != nil {
		g.logger.Warn("cannot count that a code came back", zap.Error(err))
	}
}

// charge pays for a further call of a gateway for a message that was paid for.
func (g *phoneGuard) charge(ctx context.Context, m sms.Message) error {
	return g.shield.Charge(ctx, smsfraud.Request{Digits: m.To, Region: phone.RegionOf(m.To), Segments: m.Segments})
}

// refusalOf is the client's answer to what the shield refuses.
func refusalOf(err error) error {
	refused, ok := errors.AsType[*smsfraud.RefusedError](err)
	switch {
	case !ok:
		return err
	case refused.Why == smsfraud.WhyCountry:
		return &handlers.MatrixError{
			Status: http.StatusForbidden, Errcode: "M_THREEPID_DENIED",
			Message: "This server sends no messages to numbers of that country or network", Say: handlers.SayBarred,
		}
	case refused.Early: // also where it is not the only reason: who waits for a code keeps the field
		return &verification.LimitError{RetryAfter: refused.RetryAfter, Limit: verification.LimitResend}
	}
	return &verification.LimitError{RetryAfter: refused.RetryAfter}
}
