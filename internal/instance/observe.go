// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"cmp"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Observer turns what happens into metrics and log lines. Neither ever holds
// an address, a token or a secret, so it does not log the request: a query may
// contain all three.
type Observer struct {
	logger *zap.Logger
	// reached, when not nil, is told of the homeserver's calls.
	reached func()
}

// NewObserver makes one. Reached, when not nil, is told of the homeserver's calls.
func NewObserver(logger *zap.Logger, reached func()) *Observer { return &Observer{logger, reached} }

// faceCalls counts the homeserver's questions about a session, so that it can be
// seen whether it asks us at all. Like the metrics it belongs to the process.
var faceCalls atomic.Uint64

func (o *Observer) Request(r *http.Request, e handlers.Event) {
	if e.Face == "identity" && e.Endpoint == "validated" {
		faceCalls.Add(1)
	}
	if o.reached != nil && (e.Endpoint == "validated" || e.Endpoint == "validate") {
		o.reached()
	}
	requestsTotal.WithLabelValues(e.Face, e.Endpoint, e.Outcome).Inc()
	requestSeconds.WithLabelValues(e.Face, e.Endpoint).Observe(e.Duration.Seconds())
	if e.Limit != "" {
		limitedTotal.WithLabelValues(string(e.Limit)).Inc()
	}
	level, text := zapcore.DebugLevel, "handled request"
	if e.Status >= http.StatusInternalServerError {
		level, text = zapcore.ErrorLevel, "request failed"
	}
	if c := o.logger.Check(level, text); c != nil {
		c.Write(
			zap.String("face", e.Face), zap.String("endpoint", e.Endpoint), zap.String("method", method(r)),
			zap.String("purpose", string(e.Purpose)), zap.String("medium", string(e.Medium)),
			zap.String("outcome", e.Outcome), zap.Int("status", e.Status),
			zap.Duration("duration", e.Duration), zap.Error(e.Err),
		)
	}
}

// Changed implements handlers.Observer: the audit log. Users and addresses
// stand in it under pseudonyms that change every day.
func (o *Observer) Changed(_ *http.Request, c handlers.Change) {
	outcome := cmp.Or(c.Result, "ok")
	level := zapcore.InfoLevel
	if c.Err != nil {
		outcome, level = "failed", zapcore.WarnLevel
	}
	changesTotal.WithLabelValues(c.Action, string(c.Medium), outcome).Inc()
	if e := o.logger.Named("audit").Check(level, "address "+c.Action); e != nil {
		e.Write(
			zap.String("action", c.Action), zap.String("outcome", outcome), zap.String("user", c.User),
			zap.String("medium", string(c.Medium)), zap.String("pseudonym", c.Address),
			zap.String("id_server", c.IDServer), zap.Error(c.Err),
		)
	}
}

// method is a method that exists; others may be any text.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		return r.Method
	}
	return "other"
}

func (o *Observer) Transition(purpose threepid.Purpose, medium threepid.Medium, to string) {
	sessionsTotal.WithLabelValues(string(purpose), string(medium), to).Inc()
}

func (o *Observer) Asked(class ratelimit.Class, medium threepid.Medium, limit ratelimit.Kind) {
	askedTotal.WithLabelValues(class.String(), string(medium), string(cmp.Or(limit, "none"))).Inc()
}

func (o *Observer) RanDry(dry bool) {
	if !dry {
		newcomersDry.Set(0)
		o.logger.Info("there are messages for newcomers again")
		return
	}
	newcomersDry.Set(1)
	o.logger.Warn("no messages are left for newcomers: those who complete the stages before the mail come first until there are; see `caddy threepid limits`")
}

func (o *Observer) Delivery(e outbox.Event) {
	medium := string(cmp.Or(e.Medium, "unknown"))
	messagesTotal.WithLabelValues(medium, e.Outcome).Inc()
	if e.Duration > 0 {
		messageSeconds.WithLabelValues(medium).Observe(e.Duration.Seconds())
	}
	if e.Reason != "" {
		failuresTotal.WithLabelValues(medium, e.Reason).Inc()
	}
	level := zapcore.ErrorLevel // somebody gets nothing
	switch {
	case e.Outcome == outbox.Sent:
		level = zapcore.InfoLevel
	case (e.Outcome == outbox.Uncertain || e.Outcome == outbox.Deferred) && !e.Operator:
		level = zapcore.WarnLevel
	}
	if c := o.logger.Check(level, "tried to deliver message"); c != nil {
		c.Write(
			zap.String("outcome", e.Outcome), zap.String("reason", e.Reason), zap.String("medium", medium), zap.String("purpose", string(e.Purpose)),
			zap.String("pseudonym", e.Pseudonym), zap.Int("tries", e.Tries), zap.Bool("operator", e.Operator),
			zap.Duration("duration", e.Duration), zap.Duration("age", e.Age), zap.Error(e.Err),
		)
	}
}

// Interface guards
var (
	_ handlers.Observer     = (*Observer)(nil)
	_ verification.Observer = (*Observer)(nil)
	_ outbox.Observer       = (*Observer)(nil)
)
