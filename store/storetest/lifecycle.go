// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func testContext(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"Cancelled", testCancelled},
		{"CancelledDuringScan", testCancelledDuringScan},
	})
}

// operations calls every method that takes a context. called is set when one
// calls its function.
func operations(ctx context.Context, s store.Store, called *bool) map[string]error {
	fn := func(store.Txn) error { *called = true; return nil }
	return map[string]error{
		"View":   s.View(ctx, part, fn),
		"Update": s.Update(ctx, part, fn),
		"Scan": s.Scan(ctx, part, "", func(string, []byte) (bool, error) {
			*called = true
			return true, nil
		}),
		"Ping": s.Ping(ctx),
	}
}

func testCancelled(f *fixture) {
	f.set(part, "key", "value", time.Time{})
	cancelled, cancel := context.WithCancel(f.Context())
	cancel()
	late, cancel := context.WithDeadline(f.Context(), time.Unix(0, 0))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, late} {
		called := false
		for op, err := range operations(ctx, f.store, &called) {
			if !errors.Is(err, ctx.Err()) {
				f.Errorf("%s() = %v, want %v", op, err, ctx.Err())
			}
		}
		if called {
			f.Error("function ran although the context had ended")
		}
	}
}

func testCancelledDuringScan(f *fixture) {
	for _, key := range []string{"a", "b", "c"} {
		f.set(part, key, "v", time.Time{})
	}
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	var got []string
	err := f.store.Scan(ctx, part, "", func(key string, _ []byte) (bool, error) {
		got = append(got, key)
		cancel()
		return true, nil
	})
	if want := []string{"a"}; !errors.Is(err, context.Canceled) || !slices.Equal(got, want) {
		f.Errorf("Scan() visited %q, %v, want %q, %v", got, err, want, context.Canceled)
	}
}

func testClose(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"UseAfterClose", testUseAfterClose},
		{"WaitsForRunning", testCloseWaitsForRunning},
		{"DuringTraffic", testCloseDuringTraffic},
	})
}

func testUseAfterClose(f *fixture) {
	f.set(part, "key", "value", time.Time{})
	for range 2 { // closing twice is harmless
		if err := f.store.Close(); err != nil {
			f.Errorf("Close() = %v", err)
		}
		called := false
		for op, err := range operations(f.Context(), f.store, &called) {
			if !errors.Is(err, store.ErrClosed) {
				f.Errorf("%s() after Close = %v, want %v", op, err, store.ErrClosed)
			}
		}
		if called {
			f.Error("function ran although the store was closed")
		}
	}
}

func testCloseWaitsForRunning(f *fixture) {
	f.set(part, "a", "v", time.Time{})
	f.set(part, "b", "v", time.Time{})
	closed := make(chan struct{})
	visited := 0
	err := f.store.Scan(f.Context(), part, "", func(string, []byte) (bool, error) {
		if visited++; visited > 1 {
			return true, nil
		}
		go func() {
			defer close(closed)
			if err := f.store.Close(); err != nil {
				f.Errorf("Close() = %v", err)
			}
		}()
		// Until Close has begun, which shows in what it refuses.
		for !errors.Is(f.store.Ping(f.Context()), store.ErrClosed) {
			time.Sleep(time.Millisecond)
		}
		select {
		case <-closed:
			return false, errors.New("store was closed during a scan")
		default:
			return true, nil
		}
	})
	if err != nil || visited != 2 {
		f.Errorf("Scan() visited %d entries, %v, want 2, nil", visited, err)
	}
	<-closed
}

// Whatever is going on, the answer is a result or ErrClosed.
func testCloseDuringTraffic(f *fixture) {
	var wg, warm sync.WaitGroup
	warm.Add(workers)
	for w := range workers {
		wg.Go(func() {
			var called bool
			for round := 0; ; round++ {
				if round == 3 {
					warm.Done()
				}
				err := f.store.Update(f.Context(), part, func(tx store.Txn) error {
					return errors.Join(add(tx, "counter", 1), tx.Delete(fmt.Sprint("key-", w)))
				})
				closed := errors.Is(err, store.ErrClosed)
				if err != nil && !closed {
					f.Errorf("Update() = %v", err)
				}
				for op, err := range operations(f.Context(), f.store, &called) {
					if err != nil && !errors.Is(err, store.ErrClosed) {
						f.Errorf("%s() = %v", op, err)
					}
				}
				if closed && round > 3 {
					return
				}
			}
		})
	}
	warm.Wait()
	if err := f.store.Close(); err != nil {
		f.Errorf("Close() = %v", err)
	}
	wg.Wait()
}

// testReopen has nothing to prove about a backend without persistence.
func testReopen(t *testing.T, c *suite) {
	if c.reopen == nil {
		return
	}
	c.runAll(t, []test{
		{"KeepsEverything", func(f *fixture) {
			expires := f.now().Add(f.life())
			f.set(part, "forever", "value", time.Time{})
			f.set(part, "overwritten", "old", time.Time{})
			f.set(part, "overwritten", "new", time.Time{})
			f.set(part, "deleted", "value", time.Time{})
			f.delete(part, "deleted")
			f.set("other", "forever", "of other", time.Time{})
			f.set(part, "bounded", "value", expires)
			f.use(f.reopen(f.T, f.store))

			f.outlive(expires, f.has("bounded"))
			f.wantMissing(part, "bounded")
			f.want("other", "forever", "of other")
			if got, want := f.scan(part, ""), []string{"forever=value", "overwritten=new"}; !slices.Equal(got, want) {
				f.Errorf("after reopening, Scan() found %q, want %q", got, want)
			}
			f.set(part, "forever", "changed", time.Time{})
			f.want(part, "forever", "changed")
		}},
	})
}
