// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// fakeClock starts now and moves only when told to.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Now()} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// reopen closes a store and opens its directory again.
func reopen(t *testing.T, s store.Store) store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openTest(t, s.(*Store).opts)
}

func TestConforms(t *testing.T) {
	t.Parallel() // it waits, most of the time
	clock := newFakeClock()
	storetest.Run(t,
		func(t *testing.T) store.Store { return openTest(t, Options{Clock: clock.Now}) },
		storetest.WithReopen(reopen),
		storetest.WithClock(clock.Now, clock.Advance))
}

func TestConformsInRealTime(t *testing.T) {
	t.Parallel() // it waits, most of the time
	storetest.Run(t,
		func(t *testing.T) store.Store { return openTest(t, Options{}) },
		storetest.WithReopen(reopen))
}
