// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

var errDiskFull = errors.New("no space left")

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
		"Charge":  func(f *fixture, _ *Reservation) (any, error) { return nil, f.Charge(bg, number) },
		"Release": func(f *fixture, res *Reservation) (any, error) { return nil, f.Release(bg, res) },
		"Verified": func(f *fixture, _ *Reservation) (any, error) {
			return nil, f.Verified(bg, number.Digits, "GB", number.Client)
		},
		"Ask":    func(f *fixture, _ *Reservation) (any, error) { return f.Ask(bg, number) },
		"Status": func(f *fixture, _ *Reservation) (any, error) { return f.Status(bg) },
		"Resume": func(f *fixture, _ *Reservation) (any, error) { _, err := f.Resume(bg, ""); return nil, err },
		"Forget": func(f *fixture, _ *Reservation) (any, error) { _, err := f.Forget(bg, number.Digits); return nil, err },
	} {
		t.Run(name, func(t *testing.T) {
			want, wantErr := any(nil), error(nil)
			for at := 0; ; at++ {
				f, disk, res := onDisk(t, number)
				if at == 0 { // as it is where nothing fails
					want, wantErr = do(f, res)
					f.settled(name, number)
					continue
				}
				events := len(f.watcher.seen)
				disk.Arm(at)
				got, err := do(f, res)
				broke := disk.Broke()
				if disk.Arm(0); broke == "" {
					if at == 1 {
						t.Fatal("the store was not asked for anything")
					}
					return // it has fewer operations
				}
				if !errors.Is(err, errDiskFull) || got != nil && !reflect.ValueOf(got).IsZero() {
					t.Errorf("%s fails: got %+v, %v, want nothing but the store's error", broke, got, err)
				}
				if name != "Resume" && len(f.watcher.seen) != events {
					t.Errorf("%s fails: the observer was told %v", broke, f.watcher.seen)
				}
				if strings.HasPrefix(broke, storetest.Committed) {
					continue // it was done, and whoever tries again does it twice
				}
				if again, err := do(f, res); !reflect.DeepEqual(again, want) || !errors.Is(err, wantErr) {
					t.Errorf("tried again after %s: %+v, %v, want %+v, %v", broke, again, err, want, wantErr)
				}
				f.settled(name, number)
			}
		})
	}
}

// onDisk is a shield over a store that can fail. One message was reserved, by an
// older key than the one in use, and two other prefixes are paused.
func onDisk(t *testing.T, number Request) (*fixture, *storetest.Breaking, *Reservation) {
	t.Helper()
	var disk *storetest.Breaking
	f := newFixture(t, breaking, func(c *Config) {
		disk = &storetest.Breaking{Store: c.Store.(rerun).Store, Err: errDiskFull}
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
