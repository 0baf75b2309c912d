// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

var (
	errNoSender = errors.New("there is no transport for this medium")
	errPanicked = errors.New("the transport panicked")
)

// deliver works on one message: claim it, send it, write down what came of it.
// No transaction is open while it is being sent.
func (o *Outbox) deliver(r ref) {
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
	e := o.event(rec)
	if rec.Lease == "" {
		e.Outcome = Expired // and deleted by the claim
	} else {
		o.try(rec, &e)
		if err := o.settle(r, rec, e.Outcome); err != nil {
			// When the lease ends it will be tried once more.
			o.trouble(fmt.Errorf("write down that a message was %s: %w", e.Outcome, err))
		}
	}
	o.cfg.Observer.Delivery(e)
}

// claim leases a message that is due, or deletes it if it has expired; then it
// has no lease. It returns nil if there is nothing to do.
func (o *Outbox) claim(r ref) (*record, error) {
	lease, err := o.leaseName()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(o.live, storeTimeout)
	defer cancel()
	var claimed *record
	err = o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
		claimed = nil
		rec, err := o.codec.get(txn, r.key)
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
		claimed = rec
		if rec.expired(now) {
			rec.Lease = ""
			return txn.Delete(r.key)
		}
		rec.Lease, rec.LeaseUntil = lease, now.Add(o.cfg.SendTimeout+leaseMargin).UnixMilli()
		return o.codec.put(txn, r.key, rec)
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// leaseName names one try. Were it the same for all tries of one outbox, a
// sender that overran its lease could settle the next try as its own.
func (o *Outbox) leaseName() (string, error) {
	var b [9]byte
	if _, err := io.ReadFull(o.cfg.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// try sends a message once and says in e what came of it. On Deferred it has
// set when to try again.
func (o *Outbox) try(rec *record, e *Event) {
	ctx, cancel := context.WithTimeout(o.live, o.cfg.SendTimeout)
	defer cancel()
	start := o.cfg.Now()
	err := o.send(ctx, rec.Message)
	e.Duration = o.cfg.Now().Sub(start)
	rec.Tries++
	e.Tries = rec.Tries
	if err == nil {
		e.Outcome = Sent
		return
	}
	e.Err = scrub(err, rec.Message)
	e.Operator = operator(err)
	switch {
	case o.live.Err() != nil: // we cut it off; nobody is to blame, so no delay
		e.Outcome, rec.NotBefore = Deferred, 0
	case ctx.Err() == nil && !temporary(err):
		e.Outcome = Failed
	default:
		o.postpone(rec, e)
	}
}

// postpone decides when a message is tried again, within its token's life. A
// mail that arrives seconds before its token ends is of no use to its reader.
func (o *Outbox) postpone(rec *record, e *Event) {
	now := o.cfg.Now()
	left := rec.Message.Expires.Sub(now)
	if left < backoffBase {
		e.Outcome = Expired
		return
	}
	e.Outcome = Deferred
	rec.NotBefore = now.Add(backoff(o.cfg.Random, rec.Tries, left)).UnixMilli()
}

// send calls the transport. Its panic fails this message and no other; trying
// again could bring the same mail over and over, as nobody knows how far the
// transport got.
func (o *Outbox) send(ctx context.Context, m verification.Message) (err error) {
	sender := o.cfg.Senders[m.Medium]
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

// settle ends the lease: a message that waits for another try is kept, any
// other is removed. It does not end with the outbox: what was done must be
// written down. A second attempt is made where the store recovers at once.
func (o *Outbox) settle(r ref, rec *record, outcome string) error {
	write := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		return o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
			return o.release(txn, r.key, rec, outcome)
		})
	}
	err := write()
	if err == nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	pause := time.NewTimer(time.Second)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-o.live.Done():
	}
	return write()
}

// release is the transaction of settle. If the lease was lost meanwhile, the
// message is not ours to change.
func (o *Outbox) release(txn store.Txn, key string, rec *record, outcome string) error {
	current, err := o.codec.get(txn, key)
	if errors.Is(err, store.ErrNotFound) || (err == nil && current.Lease != rec.Lease) {
		return nil
	}
	if err != nil {
		return err
	}
	if outcome != Deferred {
		return txn.Delete(key)
	}
	kept := *rec
	kept.Lease, kept.LeaseUntil = "", 0
	return o.codec.put(txn, key, &kept)
}
