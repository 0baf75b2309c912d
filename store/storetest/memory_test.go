// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

func TestMemoryConforms(t *testing.T) {
	clock := storetest.NewClock(time.Now())
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMemory(clock.Now) },
		storetest.WithClock(clock.Now, clock.Advance))
}

func TestMemoryConformsInRealTime(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMemory(nil) })
}

func TestMemoryExpiresExactly(t *testing.T) {
	clock := storetest.NewClock(time.Now())
	s := storetest.NewMemory(clock.Now)
	ctx := t.Context()
	err := s.Update(ctx, "p", func(tx store.Txn) error {
		return tx.Set("key", []byte("value"), clock.Now().Add(time.Second))
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(tx store.Txn) error { _, err := tx.Get("key"); return err }
	clock.Advance(time.Second - 1)
	if err := s.View(ctx, "p", get); err != nil {
		t.Errorf("one nanosecond before expiry, Get() = %v", err)
	}
	clock.Advance(1)
	if err := s.View(ctx, "p", get); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("at expiry, Get() = %v, want %v", err, store.ErrNotFound)
	}
}

func TestMemoryWaitEndsWithContext(t *testing.T) {
	s := storetest.NewMemory(nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(t.Context(), "p", func(store.Txn) error {
		done := make(chan error)
		go func() { done <- s.Update(ctx, "q", func(store.Txn) error { return nil }) }()
		cancel()
		return <-done
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update() behind another = %v, want %v", err, context.Canceled)
	}
}
