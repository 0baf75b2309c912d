// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func errField(err error) zap.Field { return zap.Error(err) }

// requestObserver turns requests into metrics and log lines. The request
// itself is not logged: its query may hold a token.
type requestObserver struct{ logger *zap.Logger }

// Request implements handlers.Observer.
func (o *requestObserver) Request(r *http.Request, e handlers.Event) {
	requestsTotal.WithLabelValues(e.Face, e.Endpoint, e.Outcome).Inc()
	requestSeconds.WithLabelValues(e.Face, e.Endpoint).Observe(e.Duration.Seconds())
	level := zapcore.DebugLevel
	if e.Status >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	if c := o.logger.Check(level, "handled request"); c != nil {
		c.Write(
			zap.String("face", e.Face), zap.String("endpoint", e.Endpoint), zap.String("method", r.Method),
			zap.String("purpose", string(e.Purpose)), zap.String("medium", string(e.Medium)),
			zap.String("outcome", e.Outcome), zap.Int("status", e.Status),
			zap.Duration("duration", e.Duration), zap.Error(e.Err),
		)
	}
}

// deliveryObserver turns deliveries into metrics and log lines.
type deliveryObserver struct{ logger *zap.Logger }

// Delivery implements delivery.Observer.
func (o *deliveryObserver) Delivery(e delivery.Event) {
	messagesTotal.WithLabelValues(string(e.Medium), e.Outcome).Inc()
	messageSeconds.WithLabelValues(string(e.Medium)).Observe(e.Duration.Seconds())
	level, text := zapcore.InfoLevel, "message sent"
	switch e.Outcome {
	case "deferred":
		level, text = zapcore.WarnLevel, "message will be tried again"
	case "failed", "expired":
		level, text = zapcore.ErrorLevel, "message was not delivered"
	}
	if c := o.logger.Check(level, text); c != nil {
		c.Write(
			zap.String("recipient", e.Pseudonym), zap.String("purpose", string(e.Purpose)),
			zap.String("medium", string(e.Medium)), zap.String("outcome", e.Outcome),
			zap.Int("tries", e.Tries), zap.Duration("duration", e.Duration), zap.Error(e.Err),
		)
	}
}

// sessionObserver counts transitions.
type sessionObserver struct{}

// Transition implements verification.Observer.
func (sessionObserver) Transition(purpose verification.Purpose, medium verification.Medium, to string) {
	sessionsTotal.WithLabelValues(string(purpose), string(medium), to).Inc()
}
