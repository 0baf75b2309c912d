// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

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
	clock := storetest.NewClock(time.Now())
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
