// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"strconv"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// peer is one gateway with what is known of it.
type peer = failover.Peer[*limited]

// limited is a gateway that takes so many messages at a time.
type limited struct {
	Gateway
	slots chan struct{}
}

// sending is one message on its way through the gateways of its route.
type sending struct {
	*Router
	region  string
	message Message

	owing    bool // an earlier call may have sent it, and the next is not paid for
	unsure   bool // any earlier call may have sent it
	by       string
	accepted Accepted
}

func (s *sending) Place(ctx context.Context, to *peer) (leave func(), o failover.Outcome) {
	select {
	case to.Via.slots <- struct{}{}:
		return func() { <-to.Via.slots }, failover.Outcome{}
	case <-ctx.Done():
		e := &SendError{Reason: ReasonTimeout, Gateway: to.Name, Again: true, Err: ctx.Err()}
		if errors.Is(e.Err, context.Canceled) {
			e.Reason = ReasonInterrupted
		}
		return nil, failover.Outcome{Err: e, Elsewhere: true, Temporary: true, Unasked: true}
	}
}

func (s *sending) Send(ctx context.Context, to *peer, _ failover.Attempt) failover.Outcome {
	if err := s.charge(ctx); err != nil {
		return failover.Outcome{Err: err, Verdict: failover.Unknown, Unasked: true}
	}
	m := s.message
	if m.From == "" {
		m.From = s.cfg.Originators.choose(to.Name, s.region, m.To)
	}
	accepted, err := to.Via.Send(ctx, m)
	if err == nil {
		s.by, s.accepted = to.Name, accepted
		return failover.Outcome{}
	}
	failed, ok := errors.AsType[*SendError](err)
	if !ok {
		return failover.Outcome{Err: err, Verdict: failover.Unknown}
	}
	s.owing, s.unsure = s.owing || failed.Unsure, s.unsure || failed.Unsure
	e := *failed
	e.Gateway = to.Name
	return e.outcome()
}

// outcome tells what the error says about the gateway, and what is to be done.
func (e *SendError) outcome() failover.Outcome {
	o := failover.Outcome{Err: e, Temporary: e.Again, Uncertain: e.Unsure}
	switch e.Reason {
	case ReasonRejected: // it is the message that is refused
		o.Verdict = failover.Healthy
	case ReasonInterrupted:
		o.Verdict = failover.Unknown
	default:
		o.Verdict, o.Elsewhere, o.Fault = failover.Broken, e.Fault || e.Again, e.Reason
		if e.Status != 0 {
			o.Fault += " " + strconv.Itoa(e.Status)
		}
	}
	return o
}

// charge pays for a call that may make two messages of one.
func (s *sending) charge(ctx context.Context) error {
	if !s.owing {
		return nil
	}
	if s.cfg.Charge != nil {
		if err := s.cfg.Charge(ctx, s.message); err != nil {
			return &SendError{Reason: ReasonBudget, Again: true, Err: err}
		}
	}
	s.owing = false
	return nil
}

// failure is why nobody took the message. What is the operator's to mend is
// worth another try, as it is with mail.
func (s *sending) failure(err error) error {
	if alone, ok := errors.AsType[*failover.LeftAloneError](err); ok {
		return &SendError{Reason: ReasonNoGateway, Again: true, Fault: true, Unsure: s.unsure, Wait: alone.For}
	}
	failed, ok := errors.AsType[*SendError](err)
	if !ok {
		return err
	}
	e := *failed
	e.Again, e.Unsure = e.Again || e.Fault, s.unsure
	return &e
}
