// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// ClosingGrace is how long closing a store waits for requests and deliveries
// that are using it. It only matters when a reload moves or removes the store,
// and holds that reload up.
const ClosingGrace = 10 * time.Second

// ErrRestart is returned when an open store would have to be opened anew.
var ErrRestart = errors.New("restart needed")

// ErrChanged refuses what cannot change while a store is open.
func ErrChanged(name string) error {
	return fmt.Errorf("store %s: its options or the contents of the key file have changed while it is open: %w", name, ErrRestart)
}

// SharedStore is an open store with those who use it.
type SharedStore struct {
	store.Store
	// Keys are those of all instances that have the store open, and Outbox is theirs:
	// the one that sends has its transports in force there.
	Keys   *keyring.Ring
	Outbox *outbox.Outbox

	grace  time.Duration
	logger *zap.Logger
	// moving is held by who moves entries, and by who must see all of them.
	moving sync.Mutex
	// life ends when the store is about to be closed.
	life context.Context
	end  func()

	mu      sync.Mutex
	holds   int
	closing bool
	idle    chan struct{} // closed when closing and not held
}

// newShared shares a store that was opened; sole says that no other process has it
// open. The logger outlives configurations.
func newShared(opened store.Store, keys *keyring.Ring, sole bool, logger *zap.Logger) *SharedStore {
	s := &SharedStore{Store: opened, Keys: keys, logger: logger, idle: make(chan struct{}), grace: ClosingGrace}
	s.life, s.end = context.WithCancel(context.Background())
	s.Outbox = outbox.New(outbox.Config{Store: s, Keys: keys, Sole: sole})
	return s
}

// errStorePanicked does not tell what a store panicked with, which may quote what is
// stored.
var errStorePanicked = errors.New("the store panicked")

// call calls the store. Wherever that happens, in a request or beside it, its panic is a
// failure like any other: whether something was written is not known.
func (s *SharedStore) call(do func() error) error {
	err := Guarded(do)
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return errStorePanicked
	}
	return err
}

func (s *SharedStore) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return s.call(func() error { return s.Store.View(ctx, p, fn) })
}

func (s *SharedStore) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return s.call(func() error { return s.Store.Update(ctx, p, fn) })
}

// UpdateAsync implements store.AsyncUpdater by what the store can.
func (s *SharedStore) UpdateAsync(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return s.call(func() error { return store.UpdateAsync(ctx, s.Store, p, fn) })
}

func (s *SharedStore) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	return s.call(func() error { return s.Store.Scan(ctx, p, prefix, fn) })
}

func (s *SharedStore) Ping(ctx context.Context) error {
	return s.call(func() error { return s.Store.Ping(ctx) })
}

func (s *SharedStore) Close() error { return s.call(s.Store.Close) }

// Hold defers closing until release is called, which may be called twice. A
// hold on a store that is being closed has no effect: the caller will get
// store.ErrClosed soon.
func (s *SharedStore) Hold() (release func()) {
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

// Held is how many are holding it.
func (s *SharedStore) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds
}

// Destruct closes the store when no request and no delivery uses it any more, or after
// a while in any case. It is called once.
func (s *SharedStore) Destruct() error {
	s.end()
	s.mu.Lock()
	s.closing = true
	if s.holds == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	err := s.Outbox.Stop(ctx) // what does not end is cut off
	select {
	case <-s.idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.logger.Warn("closing the store although it is in use", zap.Duration("waited", s.grace))
	}
	return s.Close()
}
