// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

type closingStore struct {
	store.Store
	closed *atomic.Int32
}

func (c *closingStore) Close() error {
	c.closed.Add(1)
	return c.Store.Close()
}

// counting is a shared store that counts how often it is closed.
func counting(closed *atomic.Int32) *SharedStore {
	return newShared(&closingStore{storetest.NewMemory(time.Now), closed}, nil, zap.NewNop())
}

func TestDestructWaitsForThoseWhoUseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		s := counting(&closed)
		one, two := s.Hold(), s.Hold()
		done := make(chan error, 1)
		go func() { done <- s.Destruct() }()
		synctest.Wait()
		s.Hold()() // too late to matter, and harmless
		one()
		one()
		synctest.Wait()
		if closed.Load() != 0 {
			t.Fatal("closed while it was held")
		}
		two()
		if err := <-done; err != nil || closed.Load() != 1 {
			t.Errorf("got %v and %d closings, want one", err, closed.Load())
		}
	})
}

func TestDestructDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		s := counting(&closed)
		release := s.Hold()
		start := time.Now()
		if err := s.Destruct(); err != nil || closed.Load() != 1 {
			t.Errorf("got %v and %d closings, want one", err, closed.Load())
		}
		if got, want := time.Since(start), ClosingGrace; got != want {
			t.Errorf("closed after %s, want %s", got, want)
		}
		release()
		if err := s.Ping(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("got %v from a closed store, want %v", err, store.ErrClosed)
		}
	})
}

func TestWakeGoesToTheNewestOutbox(t *testing.T) {
	var closed atomic.Int32
	s := counting(&closed)
	s.wake("p", "id") // nobody there: no harm
	keys := testKeys(t, 1)
	older := outbox.New(outbox.Config{Store: s, Keys: keys})
	newer := outbox.New(outbox.Config{Store: s, Keys: keys})
	s.addOutbox(older)
	s.addOutbox(newer)
	if got := s.outboxes[len(s.outboxes)-1]; got != newer {
		t.Error("the older outbox is woken")
	}
	s.removeOutbox(newer)
	if got := s.outboxes[len(s.outboxes)-1]; got != older {
		t.Error("the outbox that is left is not woken")
	}
	s.removeOutbox(older)
	if got := len(s.outboxes); got != 0 {
		t.Errorf("got %d outboxes, want none", got)
	}
	if err := s.Destruct(); err != nil {
		t.Error(err)
	}
}

func testKeys(t *testing.T, fill byte) *keyring.Ring {
	t.Helper()
	secret := make([]byte, keyring.SecretSize)
	secret[0] = fill
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
