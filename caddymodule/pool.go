// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// closingGrace is how long closing a store waits for requests and deliveries
// that are using it. It only matters when a reload moves or removes the store,
// and holds that reload up.
const closingGrace = 10 * time.Second

// stores are the open stores of this process, by module and PoolKey.
var stores = caddy.NewUsagePool()

// errRestart is returned when an open store would have to be opened anew.
var errRestart = errors.New("restart needed")

type poolKey struct {
	module caddy.ModuleID
	key    string
}

// moduleID is the ID of a guest.
func moduleID(g any) caddy.ModuleID {
	if m, ok := g.(caddy.Module); ok {
		return m.CaddyModule().ID
	}
	return ""
}

// acquireStore opens a store, or joins the configurations that have it open.
func acquireStore(mod guest.Store, c *custody) (any, *sharedStore, error) {
	name, err := mod.PoolKey()
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	key := poolKey{moduleID(mod), name}
	fixed := fixedOptions{options: mod.FixedOptions()}
	value, joins, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		opened, err := c.open(mod, name)
		if err != nil {
			return nil, err
		}
		shared := &sharedStore{Store: opened, fixed: fixed, keys: c.keys, idle: make(chan struct{}), grace: closingGrace}
		shared.life, shared.end = context.WithCancel(context.Background())
		return shared, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	shared, ok := value.(*sharedStore)
	if !ok {
		return nil, nil, errors.Join(fmt.Errorf("open store: pool holds a %T", value), releaseStore(key))
	}
	if joins && shared.fixed != fixed {
		return nil, nil, errors.Join(errChanged(name), releaseStore(key))
	}
	if joins {
		if err := c.join(shared, name); err != nil {
			return nil, nil, errors.Join(err, releaseStore(key))
		}
	}
	return key, shared, nil
}

// errChanged refuses what cannot change while a store is open.
func errChanged(name string) error {
	return fmt.Errorf("store %s: its options or the contents of the key file have changed while it is open: %w", name, errRestart)
}

// releaseStore undoes one acquireStore.
func releaseStore(key any) error {
	if _, err := stores.Delete(key); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// fixedOptions are those that cannot change while a store is open.
type fixedOptions struct {
	options string
}

// sharedStore is an open store with those who use it. It implements
// caddy.Destructor.
type sharedStore struct {
	store.Store
	fixed fixedOptions
	grace time.Duration
	// keys are those of all configurations that have the store open.
	keys *keyring.Ring
	// moving is held by who moves entries, and by who must see all of them.
	moving sync.Mutex
	// life ends when the store is about to be closed.
	life context.Context
	end  func()

	mu       sync.Mutex
	holds    int
	closing  bool
	idle     chan struct{} // closed when closing and not held
	outboxes []*outbox.Outbox
}

// UpdateSoon implements store.Soon by what the store can.
func (s *sharedStore) UpdateSoon(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return store.UpdateSoon(ctx, s.Store, p, fn)
}

// hold defers closing until release is called, which may be called twice. A
// hold on a store that is being closed has no effect: the caller will get
// store.ErrClosed soon.
func (s *sharedStore) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return func() {}
	}
	s.holds++
	released := false
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if released {
			return
		}
		released = true
		s.holds--
		if s.closing && s.holds == 0 {
			close(s.idle)
		}
	}
}

// Destruct closes the store when nobody uses it any more, or after a while in
// any case. The pool calls it once.
func (s *sharedStore) Destruct() error {
	if s.end != nil {
		s.end()
	}
	s.mu.Lock()
	s.closing = true
	if s.holds == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
		processLogger("threepid.store").Warn("closing the store although it is in use", zap.Duration("waited", s.grace))
	}
	return s.Close()
}

// addOutbox makes an outbox the one that is woken.
func (s *sharedStore) addOutbox(o *outbox.Outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outboxes = append(s.outboxes, o)
}

// removeOutbox hands waking over to the newest outbox that is left.
func (s *sharedStore) removeOutbox(o *outbox.Outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outboxes = slices.DeleteFunc(s.outboxes, func(x *outbox.Outbox) bool { return x == o })
}

// wake tells the newest outbox of a message. Without one it stays in the store
// until there is.
func (s *sharedStore) wake(p store.Partition, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.outboxes); n > 0 {
		s.outboxes[n-1].Wake(p, id)
	}
}

// relay lets a request of an old configuration, which may end long after its
// outbox, wake that of the new one.
type relay struct {
	own   *outbox.Outbox
	store *sharedStore
}

// Put implements verification.Outbox.
func (r relay) Put(txn store.Txn, m verification.Message) error { return r.own.Put(txn, m) }

// Wake implements verification.Outbox.
func (r relay) Wake(p store.Partition, id string) { r.store.wake(p, id) }

// Interface guards
var (
	_ caddy.Destructor    = (*sharedStore)(nil)
	_ verification.Outbox = relay{}
)
