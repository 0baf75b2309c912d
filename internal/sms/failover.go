// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// sending is one message on its way through the gateways of its route.
type sending struct {
	*Router
	region  string
	message Message

	owing  bool       // an earlier call may have sent it, and the next is not paid for
	unsure bool       // any earlier call may have sent it
	last   *SendError // of the calls
	retry  time.Time  // when the first of those that are left alone can be asked
}

// try asks one gateway. It is done if no other one is to be asked.
func (s *sending) try(ctx context.Context, one *line) (a Accepted, done bool, err error) {
	// The slot comes first: a permit to probe must not wait.
	if err := one.take(ctx); err != nil {
		failed, _ := errors.AsType[*SendError](err)
		s.outcome(failed)
		return Accepted{}, false, nil
	}
	one.begin()
	defer one.end()
	permit, again, ok := one.breaker.Admit(s.cfg.Now())
	if !ok {
		if s.retry.IsZero() || again.Before(s.retry) {
			s.retry = again
		}
		return Accepted{}, false, nil
	}
	v := failover.Unknown // if it panics, or is not asked
	if permit.Probe() {
		s.changed(one)
	}
	defer func() {
		if one.breaker.Done(permit, v, s.cfg.Now()) {
			s.changed(one)
		}
	}()
	if err := s.charge(ctx); err != nil {
		return Accepted{}, true, err
	}
	m := s.message
	if m.From == "" {
		m.From = s.cfg.Originators.choose(one.name, s.region, m.To)
	}
	a, err = one.gateway.Send(ctx, m)
	v = judge(err)
	if v == failover.Broken && s.last != nil && ctx.Err() != nil {
		v = failover.Unknown // another one has used up its time
	}
	one.note(err, v, s.cfg.Now())
	if err == nil {
		return a, true, nil
	}
	failed, ok := errors.AsType[*SendError](err)
	if !ok {
		return Accepted{}, true, err
	}
	copied := *failed
	copied.Gateway = one.name
	s.outcome(&copied)
	if elsewhere(&copied) {
		return Accepted{}, false, nil
	}
	return Accepted{}, true, s.failure()
}

// charge pays for a call that may make two messages of one.
func (s *sending) charge(ctx context.Context) error {
	if !s.owing {
		return nil
	}
	if s.cfg.Charge != nil {
		if err := s.cfg.Charge(ctx, s.message); err != nil {
			return &SendError{Reason: ReasonBudget, Again: true, Unsure: s.unsure, Err: err}
		}
	}
	s.owing = false
	return nil
}

// outcome keeps what a call came to. Whoever waits can be helped by one gateway
// that asks for it.
func (s *sending) outcome(failed *SendError) {
	s.owing, s.unsure = s.owing || failed.Unsure, s.unsure || failed.Unsure
	if s.last == nil || failed.Again || !s.last.Again {
		s.last = failed
	}
	if failed.Reason == ReasonRejected {
		s.last = failed
	}
}

// failure is why nobody took the message. What is the operator's to mend is
// worth another try, as it is with mail.
func (s *sending) failure() *SendError {
	if s.last == nil {
		return &SendError{
			Reason: ReasonNoGateway, Again: true, Fault: true, Unsure: s.unsure, Wait: max(s.retry.Sub(s.cfg.Now()), 0),
		}
	}
	e := *s.last
	e.Again, e.Unsure = e.Again || e.Fault, s.unsure
	return &e
}

// judge tells what the outcome of one message says about its gateway.
func judge(err error) failover.Verdict {
	failed, ok := errors.AsType[*SendError](err)
	switch {
	case err == nil, ok && failed.Reason == ReasonRejected:
		return failover.Healthy
	case !ok, failed.Reason == ReasonInterrupted:
		return failover.Unknown
	}
	return failover.Broken
}

// elsewhere reports that another gateway may be asked: it is not the message
// that is refused.
func elsewhere(e *SendError) bool {
	switch e.Reason {
	case ReasonRejected, ReasonInterrupted:
		return false
	}
	return e.Fault || e.Again
}
