// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Waiting is how a message that is in the outbox stands.
type Waiting struct {
	Tries int
	// Next is when it is tried again; zero if it is due, or being sent.
	Next time.Time
}

// Look looks for a message by its id, and changes nothing.
func (o *Outbox) Look(ctx context.Context, id string) (w Waiting, there bool, err error) {
	key, ok := verification.OutboxKey(id)
	if !ok {
		return w, false, nil
	}
	var rec *record
	err = o.cfg.Store.View(ctx, partitionOf(id), func(txn store.Txn) (err error) {
		rec, err = o.codec.get(txn, key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errUnreadable) {
		return w, false, nil
	}
	if err != nil {
		return w, false, fmt.Errorf("look for a message: %w", err)
	}
	w.Tries = rec.Tries
	if next := time.UnixMilli(rec.NotBefore); rec.Lease == "" && next.After(o.cfg.Now()) {
		w.Next = next
	}
	return w, true, nil
}
