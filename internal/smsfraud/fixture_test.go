// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// tb is what a test and a property have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var bg = context.Background()

// began is when the clocks of tests start: in the middle of a bucket.
var began = time.Date(2026, 2, 3, 4, 7, 9, 123, time.UTC)

// rerun runs every update once in vain before it runs it for good, as a store
// may do after a conflict.
type rerun struct{ store.Store }

func (r rerun) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	conflict := errors.New("conflict")
	err := r.Store.Update(ctx, p, func(txn store.Txn) error {
		_ = fn(txn) // the second run decides
		return conflict
	})
	if !errors.Is(err, conflict) {
		return err
	}
	return r.Store.Update(ctx, p, fn)
}

// watcher counts what an observer is told.
type watcher struct {
	mu    sync.Mutex
	seen  map[string]int
	money Money
	parts int
}

func (w *watcher) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[fmt.Sprintf(format, args...)]++
}

func (w *watcher) Paused(region string)           { w.note("paused %s", region) }
func (w *watcher) Resumed(region string)          { w.note("resumed %s", region) }
func (w *watcher) NetworkPaused()                 { w.note("network paused") }
func (w *watcher) NetworkResumed()                { w.note("network resumed") }
func (w *watcher) Refused(region string, why Why) { w.note("refused %s %s", region, why) }
func (w *watcher) Spent(region string, segments int, m Money) {
	w.note("spent %s", region)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts += segments
	w.money += m
}

func (w *watcher) want(t tb, event string, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.seen[event]; got != want {
		t.Errorf("%q was seen %d times, want %d (all: %v)", event, got, want, w.seen)
	}
}

// fixture is a shield on a store in memory. Its limits are off unless a test
// turns one on.
type fixture struct {
	*Shield
	tb
	cfg     Config
	clock   *storetest.Clock
	watcher *watcher
}

func ring(t tb, fills ...byte) *keyring.Ring {
	t.Helper()
	keys := make([]keyring.Key, len(fills))
	for i, fill := range fills {
		keys[i] = keyring.Key{ID: fill, Secret: bytes.Repeat([]byte{fill}, keyring.SecretSize)}
	}
	r, err := keyring.New(keys...)
	if err != nil {
		t.Fatalf("keyring: %v", err)
	}
	return r
}

func newFixture(t tb, change ...func(*Config)) *fixture {
	t.Helper()
	clock := storetest.NewClock(began)
	seen := &watcher{seen: map[string]int{}}
	cfg := Config{
		Store: rerun{storetest.NewMemory(clock.Now)}, Keys: ring(t, 'k'), Now: clock.Now, Observer: seen,
		Allow: []string{"*", "+882"}, Budgets: []Budget{}, Conversion: Conversion{Off: true},
		PerNumber: 1000, NumbersPerClient: -1, CountriesPerClient: -1, NetworkPart: -1, Backoff: []time.Duration{},
	}
	for _, c := range change {
		c(&cfg)
	}
	f := &fixture{tb: t, cfg: cfg, clock: clock, watcher: seen}
	f.Shield = f.another()
	return f
}

// another makes a second shield over the same store, as a restart or another
// process does.
func (f *fixture) another(change ...func(*Config)) *Shield {
	f.Helper()
	cfg := f.cfg
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		f.Fatalf("New: %v", err)
	}
	return s
}

// gb is a British number of a prefix.
func gb(n int) string { return fmt.Sprintf("447911%06d", n) }

func fr(n int) string { return fmt.Sprintf("33612%06d", n) }

// to is a message that a stranger asks for.
func to(digits, region string, change ...func(*Request)) Request {
	r := Request{Digits: digits, Region: region, Class: ratelimit.Newcomer, Segments: 1}
	for _, c := range change {
		c(&r)
	}
	return r
}

func from(addr string) func(*Request) {
	return func(r *Request) { r.Client = netip.MustParseAddr(addr) }
}

// owner asks for it as somebody with an account.
func owner(r *Request) { r.Class = ratelimit.Owner }

func segments(n int) func(*Request) { return func(r *Request) { r.Segments = n } }

func (f *fixture) reserve(r Request) *Reservation {
	f.Helper()
	if said := f.asks(r); !r.Client.IsValid() && said != nil {
		f.Fatalf("Ask(%s) = %v, want it to be allowed", r.Region, said)
	}
	res, err := f.Reserve(bg, r)
	if err != nil {
		f.Fatalf("Reserve(%s) = %v, want it to be allowed", r.Region, err)
	}
	return res
}

// refuses checks that a request is refused now, and a nanosecond before
// RetryAfter, and for another reason or none after that.
func (f *fixture) refuses(r Request, why Why, after time.Duration) {
	f.Helper()
	f.refused(r, why, after)
	if after > 0 {
		f.clock.Advance(after - 1)
		f.refused(r, why, 1)
		f.clock.Advance(1)
	}
}

func (f *fixture) refused(r Request, why Why, after time.Duration) {
	f.Helper()
	if said := f.asks(r); !r.Client.IsValid() {
		wantRefusal(f, said, why, after)
	}
	_, err := f.Reserve(bg, r)
	wantRefusal(f, err, why, after)
}

// asks returns what the operator would be told of a request, who knows of no client:
// the same as whoever makes it. Nothing is changed by that.
func (f *fixture) asks(r Request) error {
	f.Helper()
	before := f.entries()
	state, err := f.Ask(bg, r)
	if err != nil || !maps.Equal(before, f.entries()) {
		f.Fatalf("Ask(%s) = %v, and a change: %v", r.Region, err, !maps.Equal(before, f.entries()))
	}
	if state.Refused == nil {
		return nil
	}
	return state.Refused
}

func wantRefusal(t tb, err error, why Why, after time.Duration) {
	t.Helper()
	var refusal *RefusedError
	if !errors.As(err, &refusal) || refusal.Why != why || refusal.RetryAfter != after {
		t.Fatalf("got %v, want a refusal for %s with retry after %s", err, why, after)
	}
}

// Forget is what the operator can have done with a number.
func (f *fixture) Forget(ctx context.Context, digits string) (int, error) {
	f.Helper()
	gone, err := sealed.Erase(ctx, f.cfg.Store, f.keys, threepid.ThreePID{Medium: threepid.MSISDN, Address: digits})
	return gone.Total(), err
}

// entries reads the raw store.
func (f *fixture) entries() map[string]string {
	f.Helper()
	got := map[string]string{}
	err := f.cfg.Store.Scan(bg, partition, "", func(key string, value []byte) (bool, error) {
		got[key] = string(value)
		return true, nil
	})
	if err != nil {
		f.Fatalf("Scan: %v", err)
	}
	return got
}

func (f *fixture) status() Status {
	f.Helper()
	st, err := f.Status(bg)
	if err != nil {
		f.Fatalf("Status: %v", err)
	}
	return st
}
