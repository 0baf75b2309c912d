// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// Defaults of [RelaysConfig].
const (
	DefaultBreakerThreshold = failover.DefaultThreshold
	DefaultBreakerDelay     = failover.DefaultDelay
	DefaultBreakerMaxDelay  = failover.DefaultMaxDelay
)

// The states of a relay's breaker, as they are shown to people.
const (
	BreakerClosed   = failover.Closed   // all goes through
	BreakerOpen     = failover.Open     // nothing does, until a moment that is known
	BreakerHalfOpen = failover.HalfOpen // one message does, to see
)

// Transport brings one message to somewhere. [SMTP] and [Dir] are such.
type Transport interface {
	Send(ctx context.Context, from, to string, message []byte) error
}

// Relay is a transport with a name to tell it from others by.
type Relay struct {
	Name      string
	Transport Transport
}

// RelaysConfig says how patient [Relays] are.
type RelaysConfig struct {
	// Threshold is how many failures in a row make a relay be left alone.
	Threshold int
	// Delay is for how long, about; it doubles up to MaxDelay.
	Delay, MaxDelay time.Duration
	// OnChange, if set, is told when a relay comes to be left alone, tried
	// again, or used again. It must not call back.
	OnChange func(RelayStatus)
	Now      func() time.Time // the clock; default: time.Now
	Random   io.Reader        // for jitter; default: crypto/rand
}

// Relays sends by the first of several relays that is in order.
type Relays struct {
	cfg    RelaysConfig
	relays []*relay
}

var _ Transport = (*Relays)(nil)

// NewRelays makes a transport of several, in the order of preference. There
// must be one at least, and their names must differ.
func NewRelays(relays []Relay, cfg RelaysConfig) (*Relays, error) {
	if len(relays) == 0 {
		return nil, errors.New("at least one relay is required")
	}
	patience, err := failover.Config{
		Threshold: cfg.Threshold, Delay: cfg.Delay, MaxDelay: cfg.MaxDelay, Random: cfg.Random,
	}.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("leave a broken relay alone: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Relays{cfg: cfg}
	names := map[string]bool{}
	for _, one := range relays {
		if one.Name == "" || names[one.Name] || one.Transport == nil {
			return nil, fmt.Errorf("relay %q needs a name of its own, and a transport", one.Name)
		}
		names[one.Name] = true
		r.relays = append(r.relays, &relay{Relay: one, breaker: failover.New(patience)})
	}
	return r, nil
}

// Send brings a message to the first relay that takes it. It goes on to the
// next while nothing of the message was sent and the fault is not with the
// recipient. A second relay after the text was sent could make two mails of
// one; the outbox decides about that, later.
func (r *Relays) Send(ctx context.Context, from, to string, message []byte) error {
	var last *SendError
	retry := time.Time{}
	for _, one := range r.order(patienceOf(ctx).Again) {
		if last != nil && ctx.Err() != nil {
			break // no other relay is to blame for that
		}
		now := r.cfg.Now()
		p, again, ok := one.breaker.Admit(now)
		if !ok {
			if retry.IsZero() || again.Before(retry) {
				retry = again
			}
			continue
		}
		err := r.sendBy(ctx, one, attempt{Permit: p, late: last != nil}, from, to, message)
		failed, known := errors.AsType[*SendError](err)
		if err == nil || !known {
			return err
		}
		// Whoever waits can be helped by one relay that asks for it.
		if last == nil || failed.Temporary() || !last.Temporary() {
			last = failed
		}
		if !failed.elsewhere() {
			return failed
		}
	}
	if last != nil {
		return last
	}
	return &SendError{
		Stage: "relay", Reason: ReasonNoRelay, Detail: "every relay has failed repeatedly, and is left alone for a while",
		temporary: true, operator: true, retryAfter: max(retry.Sub(r.cfg.Now()), 0),
	}
}

// order is that in which relays are tried.
func (r *Relays) order(again bool) []*relay {
	if !again {
		return r.relays
	}
	return append(r.relays[1:len(r.relays):len(r.relays)], r.relays[0])
}

// attempt is one message on its way to one relay.
type attempt struct {
	failover.Permit
	late bool // another relay has used up some of the time
}

// sendBy uses one relay, and keeps account of what came of it.
func (r *Relays) sendBy(ctx context.Context, one *relay, a attempt, from, to string, message []byte) error {
	if a.Probe() {
		r.changed(one)
	}
	one.begin()
	v := failover.Unknown // if it panics
	done := func(v failover.Verdict) {
		if one.breaker.Done(a.Permit, v, r.cfg.Now()) {
			r.changed(one)
		}
	}
	defer func() {
		one.end()
		done(v)
	}()
	if a.Probe() { // it has taken the text: others need not wait for the answer
		ctx = whenSlow(ctx, func() { done(failover.Healthy) })
	}
	err := one.Transport.Send(ctx, from, to, message)
	v = judge(err)
	if v == failover.Broken && a.late && ctx.Err() != nil {
		v = failover.Unknown // it had no fair chance
	}
	one.note(err, v, r.cfg.Now())
	return err
}

func (r *Relays) changed(one *relay) {
	if r.cfg.OnChange != nil {
		r.cfg.OnChange(one.status())
	}
}

// judge tells what the outcome of one message says about the relay.
func judge(err error) failover.Verdict {
	failed, ok := errors.AsType[*SendError](err)
	switch {
	case err == nil:
		return failover.Healthy
	case !ok: // the envelope, or a transport of another kind
		return failover.Unknown
	case failed.Reason == ReasonInterrupted, failed.Stage == "wait", failed.Stage == "closed", failed.uncertain:
		return failover.Unknown
	case failed.lacking(), failed.Stage == "rcpt" && failed.answered():
		return failover.Healthy // greylisting included
	case failed.Stage == "data" && failed.answered() && (!failed.Temporary() || failed.mailbox()):
		return failover.Healthy // a message that is asked to come back has not found fault with itself
	}
	return failover.Broken
}

// answered reports that a relay that works made a decision about this mail.
func (e *SendError) answered() bool {
	return e.Code >= 400 && e.Code != 421 && !e.operator
}

// mailbox reports that a reply is about the state of one mailbox (RFC 3463 §3.3), like
// one that is full. Relays that pass a mail on at once say so after its text, too.
func (e *SendError) mailbox() bool { return strings.HasPrefix(e.Enhanced, "4.2.") }

// elsewhere reports that another relay may be asked: nothing of the message was
// sent, and it is not the recipient who was refused.
func (e *SendError) elsewhere() bool {
	switch {
	case e.Stage == "data", e.Reason == ReasonInterrupted:
		return false
	case e.Stage == "rcpt":
		return !e.answered()
	}
	return true
}

// RetryAfter is how long every relay will be left alone; 0 means nothing.
func (e *SendError) RetryAfter() time.Duration { return e.retryAfter }

// Close closes the transports that can be closed.
func (r *Relays) Close() error {
	var errs []error
	for _, one := range r.relays {
		if c, ok := one.Transport.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Check goes through all relays, whatever their state (see [SMTP.Check]).
func (r *Relays) Check(ctx context.Context, from string) []Finding {
	var found []Finding
	for _, one := range r.relays {
		checker, ok := one.Transport.(interface {
			Check(ctx context.Context, from string) []Finding
		})
		if !ok {
			continue
		}
		for _, f := range checker.Check(ctx, from) {
			f.Relay = cmp.Or(f.Relay, one.Name)
			found = append(found, f)
		}
	}
	return found
}
