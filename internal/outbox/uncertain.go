// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// DefaultLateness is how long after an uncertain end a message is sent once more:
// a relay that is slow may still take the first, and tell readers of two.
const DefaultLateness = 10 * time.Minute

// onceMore has a message that may have been sent wait for its second time. Near
// its token's end that comes earlier, or not at all.
func (o *Outbox) onceMore(rec *record, e *Event) {
	now := o.cfg.Now()
	left := rec.Message.Expires.Sub(now)
	wait := min(o.cfg.Lateness, left/2)
	if wait < backoffBase {
		e.Outcome = Uncertain
		return
	}
	e.Outcome = Deferred
	rec.NotBefore = now.Add(wait + backoff(o.cfg.Random, 1, wait)).UnixMilli()
}

// waitLong notes that a message was handed over, and that its end may take long
// to come. Should this process die, it is uncertain, and sent again late. It does
// not matter if that cannot be written down: then it is less late.
func (o *Outbox) waitLong(r ref, lease string) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := o.cfg.Store.Update(ctx, r.partition, func(txn store.Txn) error {
		rec, err := o.codec.get(txn, r.key)
		if errors.Is(err, store.ErrNotFound) || (err == nil && rec.Lease != lease) {
			return nil // withdrawn, or settled meanwhile
		}
		if err != nil {
			return err
		}
		end := o.cfg.Now().Add(mail.DefaultHandoverTimeout + leaseMargin)
		rec.Uncertain, rec.LeaseUntil, rec.NotBefore = true, end.UnixMilli(), end.Add(o.cfg.Lateness).UnixMilli()
		return o.codec.put(txn, r.key, rec)
	})
	if err != nil {
		o.trouble(fmt.Errorf("write down that a message was handed over: %w", err))
	}
}
