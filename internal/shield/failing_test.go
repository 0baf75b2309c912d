// SPDX-License-Identifier: Apache-2.0

package shield

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

var errDiskFull = errors.New("no space left")

// failing is a store of which the n-th operation fails from when it is armed: a
// transaction, a search, or a single access within.
type failing struct {
	store.Store
	left int // until the one that fails; negative: none does
}

func (f *failing) fails() bool {
	f.left--
	return f.left == -1
}

func (f *failing) within(txn store.Txn, fn func(store.Txn) error) error {
	if f.fails() {
		return errDiskFull
	}
	return fn(failingTxn{txn, f})
}

func (f *failing) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return f.Store.View(ctx, p, func(txn store.Txn) error { return f.within(txn, fn) })
}

func (f *failing) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return f.Store.Update(ctx, p, func(txn store.Txn) error { return f.within(txn, fn) })
}

func (f *failing) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if f.fails() {
		return errDiskFull
	}
	return f.Store.Scan(ctx, p, prefix, fn)
}

type failingTxn struct {
	store.Txn
	f *failing
}

func (t failingTxn) Get(key string) ([]byte, error) {
	if t.f.fails() {
		return nil, errDiskFull
	}
	return t.Txn.Get(key)
}

func (t failingTxn) Set(key string, value []byte, expires time.Time) error {
	if t.f.fails() {
		return errDiskFull
	}
	return t.Txn.Set(key, value, expires)
}

func (t failingTxn) Delete(key string) error {
	if t.f.fails() {
		return errDiskFull
	}
	return t.Txn.Delete(key)
}

// TestStoreFailsOnceAtEachOperation: whichever it is, whoever asked is told so, and
// nothing else; what was not done can be tried again, and is done then as if nothing
// had happened.
func TestStoreFailsOnceAtEachOperation(t *testing.T) {
	number := to(gb(1), "GB", from("192.0.2.1"), segments(2))
	for name, do := range map[string]func(f *fixture, res *Reservation) (done any, err error){
		"Reserve": func(f *fixture, _ *Reservation) (any, error) {
			got, err := f.Reserve(bg, number)
			return got != nil, err
		},
		"Charge":   func(f *fixture, _ *Reservation) (any, error) { return nil, f.Charge(bg, number) },
		"Release":  func(f *fixture, res *Reservation) (any, error) { return nil, f.Release(bg, res) },
		"Verified": func(f *fixture, _ *Reservation) (any, error) { return nil, f.Verified(bg, number.Digits, "GB") },
		"Ask":      func(f *fixture, _ *Reservation) (any, error) { return f.Ask(bg, number) },
		"Status":   func(f *fixture, _ *Reservation) (any, error) { return f.Status(bg) },
		"Resume":   func(f *fixture, _ *Reservation) (any, error) { _, err := f.Resume(bg, ""); return nil, err },
		"Forget":   func(f *fixture, _ *Reservation) (any, error) { _, err := f.Forget(bg, number.Digits); return nil, err },
	} {
		t.Run(name, func(t *testing.T) {
			want, wantErr := any(nil), error(nil)
			for at := -1; ; at++ {
				f, disk, res := onDisk(t, number)
				if at < 0 { // as it is where nothing fails
					want, wantErr = do(f, res)
					f.settled(name, number)
					continue
				}
				events := len(f.watcher.seen)
				disk.left = at
				got, err := do(f, res)
				if disk.left >= 0 {
					if at == 0 {
						t.Fatal("the store was not asked for anything")
					}
					return // it has fewer operations
				}
				if !errors.Is(err, errDiskFull) || got != nil && !reflect.ValueOf(got).IsZero() {
					t.Errorf("operation %d fails: got %+v, %v, want nothing but the store's error", at, got, err)
				}
				if name != "Resume" && len(f.watcher.seen) != events {
					t.Errorf("operation %d fails: the observer was told %v", at, f.watcher.seen)
				}
				if again, err := do(f, res); !reflect.DeepEqual(again, want) || !errors.Is(err, wantErr) {
					t.Errorf("tried again after operation %d: %+v, %v, want %+v, %v", at, again, err, want, wantErr)
				}
				f.settled(name, number)
			}
		})
	}
}

// onDisk is a shield over a store that can fail. One message was reserved, by an
// older key than the one in use, and two other prefixes are paused.
func onDisk(t *testing.T, number Request) (*fixture, *failing, *Reservation) {
	t.Helper()
	var disk *failing
	f := newFixture(t, breaking, func(c *Config) {
		disk = &failing{Store: c.Store.(rerun).Store, left: -1}
		c.Store = disk
		c.Budgets, c.NumbersPerClient = []Budget{{Scope: "total", Limit: 1000, Per: Day}}, 5
	})
	for i := range 12 {
		f.reserve(to(fr(i), "FR"))
		f.reserve(to("4915112345"+fr(i)[9:], "DE"))
	}
	f.refused(to(fr(100), "FR"), WhyPrefixPaused, 2*time.Hour)
	f.refused(to("491511234599", "DE"), WhyPrefixPaused, 2*time.Hour)
	res := f.reserve(number)
	f.Shield = f.another(func(c *Config) { c.Keys = ring(t, 'n', 'k') })
	return f, disk, res
}

// settled checks what an action that was done leaves behind.
func (f *fixture) settled(action string, number Request) {
	f.Helper()
	sends := map[string]int{"Reserve": 2, "Release": 0, "Forget": 0}
	want, known := sends[action]
	if !known {
		want = 1
	}
	if got, err := f.Ask(bg, number); err != nil || got.Sent != want || got.Limit != f.perNumber || got.Refused != nil {
		f.Errorf("after %s: Ask = %+v, %v, want %d messages sent", action, got, err, want)
	}
	spent := map[string]int64{"Reserve": 2, "Charge": 2, "Release": 0}
	used, known := spent[action]
	if !known {
		used = 1
	}
	paused := 2
	if action == "Resume" {
		paused = 0
	}
	if got := f.status(); got.Budgets[0].Used != 24+used || len(got.Paused) != paused {
		f.Errorf("after %s: %+v, want %d spent and %d paused", action, got, 24+used, paused)
	}
	if got := f.traces(number.Digits); (got == 0) != (want == 0) {
		f.Errorf("after %s: %d entries tell of the number", action, got)
	}
}
