// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Status is how an outbox is doing, for the operator. It holds no address.
type Status struct {
	// Waiting is how many messages are in the store, those included that are
	// being sent.
	Waiting map[verification.Medium]int `json:"waiting"`
	// Deferred is how many of them have been tried and wait for another try.
	Deferred int `json:"deferred"`
	// Unreadable is how many more there are that cannot be read.
	Unreadable int `json:"unreadable"`
	// InFlight is how many are being sent by this outbox.
	InFlight int `json:"in_flight"`
	// MaxQueued is how many may wait.
	MaxQueued int `json:"max_queued"`
	// Oldest is the age of the message that was asked for first, or zero.
	Oldest time.Duration `json:"oldest_ns"`
	// Errors are the last ones, each once, the newest first.
	Errors []LastError `json:"errors"`
}

// LastError is something that went wrong, once or several times in the same
// words. Addresses and secrets are taken out.
type LastError struct {
	// At is when it last did.
	At       time.Time           `json:"at"`
	Count    int                 `json:"count"`
	Medium   verification.Medium `json:"medium,omitempty"`
	Outcome  string              `json:"outcome"`
	Operator bool                `json:"operator"`
	Text     string              `json:"text"`
}

// Status reads all messages that wait.
func (o *Outbox) Status(ctx context.Context) (Status, error) {
	u := o.inForce()
	s := Status{
		Waiting: map[verification.Medium]int{}, InFlight: len(u.slots), MaxQueued: u.MaxQueued, Errors: u.history.last(),
	}
	for medium := range u.Senders {
		s.Waiting[medium] = 0
	}
	now := o.cfg.Now()
	for n := range sealed.Partitions {
		p, count := sealed.PartitionName(n), 0
		err := verification.OutboxKind.Scan(ctx, o.cfg.Store, p, func(key string, value []byte) (bool, error) {
			count++
			rec, err := o.codec.open(key, value)
			if err != nil {
				s.Unreadable++
				return true, nil
			}
			s.Waiting[rec.Message.Medium]++
			if rec.Tries > 0 {
				s.Deferred++
			}
			s.Oldest = max(s.Oldest, now.Sub(rec.Message.Created))
			return true, nil
		})
		if err != nil {
			return Status{}, fmt.Errorf("count messages: %w", err)
		}
		o.tally.set(p, count)
	}
	return s, nil
}

// maxErrors is how many different errors are remembered.
const maxErrors = 10

// history is the last errors, the newest last.
type history struct {
	mu     sync.Mutex
	errors []LastError
}

func (h *history) add(now time.Time, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	added := LastError{At: now, Count: 1, Medium: e.Medium, Outcome: e.Outcome, Operator: e.Operator, Text: e.Err.Error()}
	h.errors = slices.DeleteFunc(h.errors, func(old LastError) bool {
		same := old.Text == added.Text && old.Medium == added.Medium && old.Outcome == added.Outcome
		if same {
			added.Count += old.Count
		}
		return same
	})
	h.errors = append(h.errors, added)
	h.errors = h.errors[max(0, len(h.errors)-maxErrors):]
}

func (h *history) last() []LastError {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := slices.Clone(h.errors)
	slices.Reverse(newest)
	return newest
}

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
