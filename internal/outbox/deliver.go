// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var (
	errNoSender = errors.New("there is no transport for this medium")
	errPanicked = errors.New("the transport panicked")
	errHangs    = errors.New("the transport does not return, although its time is over")
)

// deliver works on one message: claim it, wait for its turn, send it, write
// down what came of it. No transaction is open while it is being sent, and no
// turn is taken while the store works: the next message is sent meanwhile.
func (o *Outbox) deliver(t *term, r ref) {
	rec, err := o.claim(r)
	switch {
	case errors.Is(err, errUnreadable):
		return // the sweep reports it, once
	case err != nil:
		o.trouble(fmt.Errorf("claim a message: %w", err))
		return
	case rec == nil:
		return // somebody else has it, or it is done, or not due
	}
	if rec.Lease != "" {
		if rec = o.turn(t, r, rec); rec == nil {
			return
		}
	}
	if rec.Lease == "" {
		e := o.event(rec)
		e.Outcome = rec.ended // and deleted by the claim
		o.tell(t.inUse, e)
		return
	}
	goOn := make(chan struct{})
	o.wg.Go(func() { o.send(t, r, rec, sync.OnceFunc(func() { close(goOn) })) })
	select {
	case <-goOn:
	case <-t.over: // what is slow does not hold up those who come into force
	}
}

// send sends a message and writes down what came of it. The turn is given back
// before that is written, and when a relay takes its time over the last word;
// then the worker goes on with others, too.
func (o *Outbox) send(t *term, r ref, rec *record, goOn func()) {
	defer goOn()
	e := o.event(rec)
	hung := e // it keeps its turn: nobody knows what it is doing
	hung.Outcome, hung.Operator, hung.Err = Deferred, true, errHangs
	hangs := time.AfterFunc(o.cfg.SendTimeout+leaseMargin, func() { o.tell(t.inUse, hung) })
	free := sync.OnceFunc(func() {
		hangs.Stop()
		<-t.slots
	})
	defer free() // also if the transport ends the goroutine
	o.try(t, rec, &e, func() {
		free()
		o.waitLong(r, rec.Lease)
		goOn()
	})
	free()
	if e.Outcome == returned {
		o.giveBack(r, rec)
		return
	}
	if err := o.settle(r, rec, e.Outcome); err != nil {
		// When the lease ends it will be tried once more.
		o.trouble(fmt.Errorf("write down that a message was %s: %w", e.Outcome, err))
	}
	o.tell(t.inUse, e)
}

// turn waits until a claimed message may be sent, and takes one of the slots.
// It returns nil, without a slot, if it is not to be sent; and a record without
// a lease, as claim does, if it has expired meanwhile.
func (o *Outbox) turn(t *term, r ref, rec *record) *record {
	took := false
	select {
	case t.slots <- struct{}{}:
		took = true
	case <-t.over:
	case <-o.quit.Done():
	}
	if o.quit.Err() != nil || t.ended() {
		if took {
			<-t.slots
		}
		o.giveBack(r, rec)
		return nil
	}
	left := time.UnixMilli(rec.LeaseUntil).Sub(o.cfg.Now())
	if left > o.cfg.SendTimeout+leaseMargin-staleAfter && !rec.Uncertain {
		return rec
	}
	renewed, err := o.renew(r, rec)
	if err != nil || renewed == nil || renewed.Lease == "" {
		<-t.slots
	}
	if err != nil {
		o.trouble(fmt.Errorf("prolong the lease of a message: %w", err))
		return nil
	}
	return renewed
}

// giveBack ends the lease of a message that was not tried: the next transports, or the
// next outbox, need not wait for the lease to end, unless this fails.
func (o *Outbox) giveBack(r ref, rec *record) {
	_ = o.settle(r, rec, returned)
	if o.quit.Err() == nil {
		o.queue.offer(r)
	}
}

// try sends a message once and says in e what came of it. On Deferred it has
// set when to try again. What is slow is told while it waits.
func (o *Outbox) try(t *term, rec *record, e *Event, slow func()) {
	ctx, cancel := context.WithTimeout(o.live, o.cfg.SendTimeout)
	defer cancel()
	if o.suppressed(ctx, t, rec, e) {
		return
	}
	start := o.cfg.Now()
	m := rec.Message
	m.Uncertain = rec.Uncertain
	ctx = context.WithValue(ctx, overKey{}, func() bool { return t.ended() || o.quit.Err() != nil })
	err := t.call(mail.WithPatience(ctx, mail.Patience{Live: o.live, Slow: slow, Again: rec.Uncertain}), m)
	if errors.Is(err, ErrOver) {
		rec.Uncertain, rec.Again = rec.Uncertain || uncertain(err), false
		e.Outcome = returned
		return
	}
	e.Duration = o.cfg.Now().Sub(start)
	rec.Tries++
	e.Tries = rec.Tries
	if err == nil {
		e.Outcome = Sent
		return
	}
	code := verification.PressCode(o.cfg.Keys, m.SID, m.Token) // which stands beside the link
	e.Err, e.Reason = scrub(err, rec.Message, string(code)), reasonOf(err)
	rec.said = said(err, rec.Message, string(code))
	e.Operator = operator(err)
	rec.Uncertain = rec.Uncertain || uncertain(err)
	again := rec.Again
	rec.Again = false // where nothing was handed over, there was no second time
	final := ctx.Err() == nil && !temporary(err)
	switch {
	case late(m, err) && (again || final):
		e.Outcome = Uncertain
	case late(m, err):
		o.onceMore(rec, e)
	case o.live.Err() != nil: // we cut it off; nobody is to blame, so no delay
		e.Outcome, rec.NotBefore = Deferred, 0
	case final:
		e.Outcome = Failed
	default:
		o.postpone(rec, e, retryAfter(err))
	}
}

// suppressed asks whether anything may be sent to the address at all, and says
// in e if not. Where that cannot be found out, it is asked again later.
func (o *Outbox) suppressed(ctx context.Context, t *term, rec *record, e *Event) bool {
	if t.Suppressed == nil {
		return false
	}
	reason, err := t.Suppressed(ctx, rec.Message)
	if err != nil {
		rec.Tries++
		e.Err, e.Operator, e.Tries = scrub(fmt.Errorf("look up suppression: %w", err), rec.Message), true, rec.Tries
		o.postpone(rec, e, 0)
		return true
	}
	if reason == "" {
		return false
	}
	e.Outcome, e.Err = Suppressed, scrub(errors.New(reason), rec.Message)
	rec.said = e.Outcome + ": " + reason
	return true
}

// postpone decides when a message is tried again, within its token's life. A
// mail that arrives seconds before its token ends is of no use to its reader.
// What the transport asks to wait comes before the jitter: messages that were
// turned away together do not come back together.
func (o *Outbox) postpone(rec *record, e *Event, wait time.Duration) {
	now := o.cfg.Now()
	left := rec.Message.Expires.Sub(now) - wait
	if left < backoffBase {
		e.Outcome = Expired
		return
	}
	e.Outcome = Deferred
	rec.NotBefore = now.Add(wait + backoff(o.cfg.Random, rec.Tries, left)).UnixMilli()
}

// call calls the transport. Its panic fails this message and no other; trying
// again could bring the same mail over and over, as nobody knows how far the
// transport got.
func (t *term) call(ctx context.Context, m verification.Message) (err error) {
	if err := Begin(ctx); err != nil {
		return err
	}
	sender := t.Senders[m.Medium]
	if sender == nil {
		return errNoSender
	}
	defer func() {
		if recover() != nil {
			err = errPanicked // what it panicked with may quote the message
		}
	}()
	return sender.Send(ctx, m)
}
