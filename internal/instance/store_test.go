// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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
	return newShared(&closingStore{storetest.NewMemory(time.Now), closed}, nil, true, zap.NewNop())
}

// rabid is a store that panics whatever it is asked.
type rabid struct{}

func (rabid) View(context.Context, store.Partition, func(store.Txn) error) error { panic("secret") }

func (rabid) Update(context.Context, store.Partition, func(store.Txn) error) error { panic("secret") }

func (rabid) Scan(context.Context, store.Partition, string, func(string, []byte) (bool, error)) error {
	panic("secret")
}
func (rabid) Ping(context.Context) error { panic("secret") }
func (rabid) Close() error               { panic("secret") }

// TestAStoreThatPanicsHasFailed, wherever it is called, and nobody is told with what.
func TestAStoreThatPanicsHasFailed(t *testing.T) {
	s := newShared(rabid{}, testKeys(t, 1), true, zap.NewNop())
	for name, call := range map[string]func() error{
		"view":         func() error { return s.View(t.Context(), "p", nil) },
		"update":       func() error { return s.Update(t.Context(), "p", nil) },
		"update later": func() error { return s.UpdateAsync(t.Context(), "p", nil) },
		"scan":         func() error { return s.Scan(t.Context(), "p", "", nil) },
		"ping":         func() error { return s.Ping(t.Context()) },
		"outbox":       func() error { _, err := s.Outbox.Status(t.Context()); return err },
		"close":        s.Destruct,
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "panicked") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
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

// sending is a store with a delivery in flight, by a transport that does something.
func sending(t *testing.T, closed *atomic.Int32, do func(ctx context.Context) error) *SharedStore {
	t.Helper()
	s := newShared(&closingStore{storetest.NewMemory(time.Now), closed}, testKeys(t, 1), true, zap.NewNop())
	m := verification.Message{
		ID: "00SessionOfAlice.1", SID: "00SessionOfAlice", Purpose: threepid.Register, Medium: threepid.Email, Address: remembered,
		Created: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	must(t, s.Update(t.Context(), "00", func(txn store.Txn) error { return s.Outbox.Put(txn, m) }))
	s.Outbox.Use(outbox.Transports{Senders: map[threepid.Medium]outbox.Sender{threepid.Email: senderFunc(do)}})
	synctest.Wait()
	return s
}

type senderFunc func(ctx context.Context) error

func (f senderFunc) Send(ctx context.Context, _ verification.Message) error { return f(ctx) }

// TestDestructWaitsForDeliveries that are in flight, and cuts them off at the end of its
// time.
func TestDestructWaitsForDeliveries(t *testing.T) {
	for name, c := range map[string]struct {
		takes, want time.Duration
		sent        bool
	}{"in time": {3 * time.Second, 3 * time.Second, true}, "too slow": {time.Hour, ClosingGrace, false}} {
		synctest.Test(t, func(t *testing.T) {
			var closed atomic.Int32
			sent := false
			s := sending(t, &closed, func(ctx context.Context) error {
				select {
				case <-time.After(c.takes):
					sent = true
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			start := time.Now()
			if err := s.Destruct(); err != nil || closed.Load() != 1 || time.Since(start) != c.want || sent != c.sent {
				t.Errorf("%s: got %v, %d closings after %s, sent %v, want one after %s, and %v", name, err, closed.Load(), time.Since(start), sent, c.want, c.sent)
			}
		})
	}
}
