// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// seeded is randomness that is the same on every run.
type seeded struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (s *seeded) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Read(p)
}

// rerun runs every update once in vain before it runs it for good, as a store
// may do after a conflict. Whatever a transaction leaves outside its Txn and
// does not set anew shows up here. What another process did meanwhile, the
// reason for the conflict, is done by between, once.
type rerun struct {
	store.Store
	between func()
}

func (r *rerun) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	conflict := errors.New("conflict")
	err := r.Store.Update(ctx, p, func(txn store.Txn) error {
		_ = fn(txn) // the second run decides
		return conflict
	})
	if !errors.Is(err, conflict) {
		return err
	}
	if r.between != nil {
		between := r.between
		r.between = nil
		between()
	}
	return r.Store.Update(ctx, p, fn)
}

// outbox keeps the messages whose transaction was committed.
type outbox struct {
	store  store.Store
	mu     sync.Mutex
	staged map[string]Message
	sent   []Message
	faults []string
	refuse error // returned by Put, if set
}

func (o *outbox) Put(txn store.Txn, m Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.staged[m.ID] = m
	if o.refuse != nil {
		return o.refuse
	}
	key, _ := OutboxKey(m.ID)
	return txn.Set(key, []byte{1}, m.Expires)
}

func (o *outbox) Wake(p store.Partition, id string) {
	err := o.store.View(bg, p, func(txn store.Txn) error {
		key, _ := OutboxKey(id)
		_, err := txn.Get(key)
		return err
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.faults = append(o.faults, fmt.Sprintf("woken for %q in %q: %v", id, p, err))
	}
	o.sent = append(o.sent, o.staged[id])
}

func (o *outbox) messages() []Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Message(nil), o.sent...)
}

func (o *outbox) last(t tb) Message {
	t.Helper()
	all := o.messages()
	if len(all) == 0 {
		t.Fatalf("no message was sent")
	}
	return all[len(all)-1]
}

// watcher counts transitions, as "purpose medium to".
type watcher struct {
	mu   sync.Mutex
	seen map[string]int
}

func (w *watcher) Asked(ratelimit.Class, threepid.Medium, ratelimit.Kind) {}

func (w *watcher) RanDry(bool) {}

func (w *watcher) Transition(p threepid.Purpose, m threepid.Medium, to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[string(p)+" "+string(m)+" "+to]++
}

func (w *watcher) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[what]
}
