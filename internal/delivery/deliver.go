// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

var (
	errNoSender = errors.New("there is no transport for this medium")
	errPanicked = errors.New("the transport panicked")
)

// deliver works on one message: lease it, send it, write down what came of it.
// No transaction is open while it is being sent.
func (o *Outbox) deliver(r ref) {
	ctx, cancel := context.WithTimeout(context.Background(), o.cfg.SendTimeout)
	defer cancel()
	rec, err := o.lease(ctx, r)
	if err != nil {
		if !errors.Is(err, store.ErrClosed) {
			o.cfg.Observer.Delivery(Event{Outcome: "deferred", Err: err})
		}
		return
	}
	if rec == nil {
		return // somebody else has it, or it is done
	}
	start := time.Now()
	m := rec.Message
	e := Event{Purpose: m.Purpose, Medium: m.Medium, Tries: rec.Tries + 1, Pseudonym: o.cfg.Keys.Pseudonym(o.cfg.Now(), m.Address)}
	if !o.cfg.Now().Before(m.Expires) {
		e.Outcome = "expired"
	} else {
		e.Err = o.send(ctx, m)
		e.Outcome = o.judge(rec, e.Err)
	}
	e.Duration = time.Since(start)
	// The outcome must be written even if sending took all the time.
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := o.settle(ctx, r, rec, e.Outcome); err != nil && !errors.Is(err, store.ErrClosed) {
		e.Err = errors.Join(e.Err, fmt.Errorf("write down the outcome: %w", err))
	}
	o.cfg.Observer.Delivery(e)
}

// lease claims a message that is due; nil means that there is nothing to do.
func (o *Outbox) lease(ctx context.Context, r ref) (*record, error) {
	var claimed *record
	err := o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
		claimed = nil
		rec, err := o.codec.get(txn, keyOf(r.id))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		now := o.cfg.Now()
		if !rec.due(now) {
			return nil
		}
		rec.Lease, rec.LeaseUntil = o.run, now.Add(o.cfg.SendTimeout+15*time.Second).UnixMilli()
		claimed = rec
		return o.codec.put(txn, keyOf(r.id), rec)
	})
	return claimed, err
}

// send calls the transport; its panic is a failure like any other.
func (o *Outbox) send(ctx context.Context, m verification.Message) (err error) {
	sender := o.cfg.Senders[m.Medium]
	if sender == nil {
		return errNoSender
	}
	defer func() {
		if p := recover(); p != nil {
			err = errPanicked
		}
	}()
	return sender.Send(ctx, m)
}

// judge decides what to do after a try, and when.
func (o *Outbox) judge(rec *record, err error) string {
	if err == nil {
		return "sent"
	}
	var t interface{ Temporary() bool }
	if !errors.As(err, &t) || !t.Temporary() {
		return "failed"
	}
	rec.Tries++
	next := o.cfg.Now().Add(backoff(rec.Tries))
	if !next.Before(rec.Message.Expires) {
		return "failed"
	}
	rec.NotBefore = next.UnixMilli()
	return "deferred"
}

// backoff doubles with every try up to a cap, with full jitter, so that many
// messages that failed together do not come back together.
func backoff(tries int) time.Duration {
	limit := min(backoffBase<<min(tries-1, 16), backoffCap)
	return time.Second + rand.N(limit)
}

// settle ends the lease: a message that waits for another try is kept, any
// other is removed. If the lease was lost meanwhile, the message is not ours
// to change.
func (o *Outbox) settle(ctx context.Context, r ref, rec *record, outcome string) error {
	return o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
		current, err := o.codec.get(txn, keyOf(r.id))
		if errors.Is(err, store.ErrNotFound) || (err == nil && current.Lease != o.run) {
			return nil
		}
		if err != nil {
			return err
		}
		if outcome != "deferred" {
			return txn.Delete(keyOf(r.id))
		}
		kept := *rec
		kept.Lease, kept.LeaseUntil = "", 0
		return o.codec.put(txn, keyOf(r.id), &kept)
	})
}
