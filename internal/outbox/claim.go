// SPDX-License-Identifier: Apache-2.0

package outbox

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

// claim leases a message that is due, or deletes it if it has expired, or has had
// its second time; then it has no lease. It returns nil if there is nothing to do.
func (o *Outbox) claim(r ref) (*record, error) {
	lease, err := o.leaseName()
	if err != nil {
		return nil, err
	}
	claimed, err := o.lease(r, func(rec *record) bool {
		rec.Lease = lease
		return true
	}, func(rec *record) bool { return o.due(rec) && (o.carried(rec) || rec.expired(o.cfg.Now())) })
	return o.unlessFailed(r, claimed, claimed, err)
}

// renew prolongs the lease of a message that has waited for its turn, and notes
// a second time before it begins. It returns nil if the message was withdrawn or
// is somebody else's.
func (o *Outbox) renew(r ref, held *record) (*record, error) {
	renewed, err := o.lease(r, func(rec *record) bool {
		rec.Again = rec.Uncertain
		return rec.Lease == held.Lease
	}, func(*record) bool { return true })
	return o.unlessFailed(r, renewed, held, err)
}

// unlessFailed is the outcome of a lease. One that failed may be written all the same. Were
// it left, nobody would know, when it is over, that the message was not being sent.
func (o *Outbox) unlessFailed(r ref, leased, before *record, err error) (*record, error) {
	if err == nil {
		return leased, nil
	}
	if before != nil && before.Lease != "" {
		_ = o.settle(r, before, returned)
	}
	return nil, err
}

// lease takes a message that is wanted and free, from now on. With an error it returns
// what it would have taken.
func (o *Outbox) lease(r ref, take, free func(*record) bool) (*record, error) {
	ctx, cancel := context.WithTimeout(o.live, storeTimeout)
	defer cancel()
	var claimed *record
	err := o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
		claimed = nil
		rec, err := o.codec.get(txn, r.key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before, again := rec.Lease, rec.Again
		if !free(rec) || !take(rec) {
			return nil
		}
		now := o.cfg.Now()
		claimed = rec
		lost := before != "" && before != rec.Lease // somebody was sending it, and nobody knows how that ended
		rec.Uncertain = rec.Uncertain || lost
		switch {
		case lost && again:
			rec.ended = Uncertain
		case rec.expired(now):
			rec.ended = Expired
		default:
			rec.LeaseUntil = now.Add(o.cfg.SendTimeout + leaseMargin).UnixMilli()
			return o.codec.put(txn, r.key, rec)
		}
		rec.Lease = ""
		return o.remove(txn, r.key, rec, rec.ended)
	})
	if err == nil && claimed != nil && claimed.ended != "" {
		o.tally.add(r.partition, -1)
	}
	return claimed, err
}

// leaseName names one try. Were it the same for all tries of one outbox, a
// sender that overran its lease could settle the next try as its own.
func (o *Outbox) leaseName() (string, error) {
	var b [9]byte
	if _, err := io.ReadFull(o.cfg.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return instance + base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// returned is the outcome of a message that was not tried after all.
const returned = ""

// settle ends the lease: a message that waits for another try is kept, any
// other is removed. It does not end with the outbox: what was done must be
// written down. A second attempt is made where the store recovers at once.
func (o *Outbox) settle(r ref, rec *record, outcome string) error {
	write := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		removed := false
		err := o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) (err error) {
			removed, err = o.release(txn, r.key, rec, outcome)
			return err
		})
		if err == nil && removed {
			o.tally.add(r.partition, -1)
		}
		return err
	}
	err := write()
	if err == nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	select {
	case <-time.After(time.Second):
	case <-o.live.Done():
	}
	return write()
}

// release is the transaction of settle. If the lease was lost meanwhile, or
// the message withdrawn, it is not ours to change.
func (o *Outbox) release(txn store.Txn, key string, rec *record, outcome string) (removed bool, err error) {
	current, err := o.codec.get(txn, key)
	if errors.Is(err, store.ErrNotFound) || (err == nil && current.Lease != rec.Lease) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if outcome != Deferred && outcome != returned {
		return true, o.remove(txn, key, rec, outcome)
	}
	kept := *rec
	kept.Lease, kept.LeaseUntil = "", 0
	if err := o.codec.put(txn, key, &kept); err != nil || outcome == returned {
		return false, err
	}
	return false, o.note(txn, rec, verification.Deferred)
}

// remove deletes a message and notes with its session what became of it.
func (o *Outbox) remove(txn store.Txn, key string, rec *record, outcome string) error {
	if err := txn.Delete(key); err != nil {
		return err
	}
	state := verification.Failed
	switch outcome {
	case Sent:
		state = verification.Delivered
	case Uncertain:
		state = verification.Uncertain
	}
	return o.note(txn, rec, state)
}

// note writes down with the session what became of its message, and why.
func (o *Outbox) note(txn store.Txn, rec *record, state verification.DeliveryState) error {
	if err := verification.NoteDelivery(txn, rec.Message, state); err != nil || rec.said == "" {
		return err
	}
	return verification.NoteReply(txn, o.cfg.Keys, rec.Message, rec.said, o.cfg.Now())
}
