// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"
)

// Message is one on its way to peers.
type Message[T any] interface {
	// Place waits until a peer can be handed one more message. Without a way to
	// leave the place, the outcome is why there is none.
	Place(ctx context.Context, to *Peer[T]) (leave func(), o Outcome)
	// Send hands it over.
	Send(ctx context.Context, to *Peer[T], a Attempt) Outcome
}

// Attempt is what a message is to know about its try.
type Attempt struct {
	// Probe says that it shows whether the peer works again. Works may then be
	// called before it is over, to let others be sent meanwhile.
	Probe bool
	Works func()
}

// Outcome is what came of one try.
type Outcome struct {
	Err     error // nil: the peer has taken it
	Verdict Verdict
	// Elsewhere says that the next peer may be asked, Temporary that it helps to
	// come back later.
	Elsewhere, Temporary bool

	// For the status: Unasked says that there is nothing to tell of this peer,
	// Missed that it counts as one in a row, and Uncertain that it may have been
	// taken all the same. Fault and Reply are for people.
	Unasked, Missed, Uncertain bool
	Fault, Reply               string
}

// LeftAloneError is why nobody was asked.
type LeftAloneError struct {
	For time.Duration // until the first of them can be asked
}

func (e *LeftAloneError) Error() string {
	return fmt.Sprintf("all are left alone, the first for another %s", e.For)
}

// Walk offers a message to peers in their order, until one takes it, or has said what
// is to come of it. If none does, the error is that of those tried which helps most: who
// waits can be helped by one that asks for it.
func Walk[T any](ctx context.Context, order []*Peer[T], m Message[T]) error {
	var last Outcome
	var retry time.Time
	for _, p := range order {
		if last.Err != nil && ctx.Err() != nil {
			break // no other one is to blame for that
		}
		o, again, ok := p.try(ctx, m, last.Err != nil)
		switch {
		case !ok && (retry.IsZero() || again.Before(retry)):
			retry = again
		case !ok:
		case o.Err == nil || !o.Elsewhere:
			return o.Err
		case last.Err == nil || o.Temporary || !last.Temporary:
			last = o
		}
	}
	if last.Err == nil {
		return &LeftAloneError{For: max(retry.Sub(order[0].cfg.Now()), 0)}
	}
	return last.Err
}

// try offers a message to one peer, or tells when to ask again. The permit comes last:
// that of a probe keeps all others away, and must not wait for a place meanwhile. Nor
// does anybody wait for a place with a peer that is left alone.
func (p *Peer[T]) try(ctx context.Context, m Message[T], late bool) (o Outcome, retry time.Time, ok bool) {
	if retry, ok := p.breaker.admits(p.cfg.Now()); !ok {
		return Outcome{}, retry, false
	}
	leave, o := m.Place(ctx, p)
	if leave == nil {
		p.note(o)
		return o, time.Time{}, true
	}
	defer leave()
	permit, retry, ok := p.breaker.admit(p.cfg.Now())
	if !ok { // it has failed others meanwhile
		return Outcome{}, retry, false
	}
	o.Verdict = Unknown // if it panics
	done := func(v Verdict) {
		if p.breaker.done(permit, v, p.cfg.Now()) {
			p.changed()
		}
	}
	if permit.probe {
		p.changed()
	}
	p.flying(1)
	defer func() {
		p.flying(-1)
		done(o.Verdict)
	}()
	o = m.Send(ctx, p, Attempt{Probe: permit.probe, Works: func() { done(Healthy) }})
	if late && o.Verdict == Broken && ctx.Err() != nil {
		o.Verdict, o.Fault = Unknown, "" // another one has used up its time
	}
	p.note(o)
	return o, time.Time{}, true
}
