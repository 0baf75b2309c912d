// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// part is the partition of the tests that need only one.
const part store.Partition = "part"

// Option tells [Run] what else the backend can do.
type Option func(*suite)

// WithReopen makes the suite prove that data outlive the store: reopen closes
// the store it is given and opens another one on the same data.
func WithReopen(reopen func(*testing.T, store.Store) store.Store) Option {
	return func(s *suite) { s.reopen = reopen }
}

// WithClock says that the stores tell expiry by a clock of the test, which
// advance moves. Without it the suite waits for the real one.
func WithClock(now func() time.Time, advance func(time.Duration)) Option {
	return func(s *suite) { s.now, s.advance = now, advance }
}

// suite is how a backend is tested.
type suite struct {
	open    func(*testing.T) store.Store
	reopen  func(*testing.T, store.Store) store.Store
	now     func() time.Time
	advance func(time.Duration)
}

// Run tests a backend against the whole contract. open returns a store that is
// empty; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store, opts ...Option) {
	c := &suite{open: open, now: time.Now}
	for _, opt := range opts {
		opt(c)
	}
	groups := []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"Basics", testBasics},
		{"Limits", testLimits},
		{"Expiry", testExpiry},
		{"Transactions", testTransactions},
		{"Partitions", testPartitions},
		{"Concurrency", testConcurrency},
		{"Scan", testScan},
		{"Empty", testEmpty},
		{"Context", testContext},
		{"Close", testClose},
		{"Reopen", testReopen},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) { g.test(t, c) })
	}
}

// test is one case of a group; each gets a store of its own.
type test struct {
	name string
	run  func(*fixture)
}

func (c *suite) runAll(t *testing.T, tests []test) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, suite: c}
			f.use(c.open(t))
			tt.run(f)
		})
	}
}

// fixture is a test and its store.
type fixture struct {
	*testing.T
	*suite
	store store.Store
}

// use replaces the store of the fixture.
func (f *fixture) use(s store.Store) {
	f.Helper()
	f.store = s
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Errorf("Close() = %v", err)
		}
	})
}

// update runs fn in an Update that must succeed.
func (f *fixture) update(p store.Partition, fn func(store.Txn) error) {
	f.Helper()
	if err := f.store.Update(f.Context(), p, fn); err != nil {
		f.Fatalf("Update(%q) = %v", p, err)
	}
}

func (f *fixture) set(p store.Partition, key, value string, expires time.Time) {
	f.Helper()
	f.update(p, func(tx store.Txn) error { return tx.Set(key, []byte(value), expires) })
}

func (f *fixture) delete(p store.Partition, key string) {
	f.Helper()
	f.update(p, func(tx store.Txn) error { return tx.Delete(key) })
}

// lookup reads a key in a View.
func lookup(ctx context.Context, s store.Store, p store.Partition, key string) (value string, err error) {
	err = s.View(ctx, p, func(tx store.Txn) error {
		got, err := tx.Get(key)
		value = string(got)
		return err
	})
	return value, err
}

// want checks the value of a key in a View, and in an Update.
func (f *fixture) want(p store.Partition, key, want string) {
	f.Helper()
	f.wantResult(p, key, want, nil)
}

func (f *fixture) wantMissing(p store.Partition, key string) {
	f.Helper()
	f.wantResult(p, key, "", store.ErrNotFound)
}

func (f *fixture) wantResult(p store.Partition, key, want string, wantErr error) {
	f.Helper()
	got, err := lookup(f.Context(), f.store, p, key)
	if got != want || !errors.Is(err, wantErr) {
		f.Errorf("View(%q): Get(%q) = %.40q, %v, want %.40q, %v", p, key, got, err, want, wantErr)
	}
	f.update(p, func(tx store.Txn) error {
		got, err := tx.Get(key)
		if string(got) != want || !errors.Is(err, wantErr) {
			f.Errorf("Update(%q): Get(%q) = %.40q, %v, want %.40q, %v", p, key, got, err, want, wantErr)
		}
		return nil
	})
}

// scan returns what a Scan finds, as "key=value".
func (f *fixture) scan(p store.Partition, prefix string) []string {
	f.Helper()
	found := []string{}
	err := f.store.Scan(f.Context(), p, prefix, func(key string, value []byte) (bool, error) {
		found = append(found, fmt.Sprintf("%s=%s", key, value))
		return true, nil
	})
	if err != nil {
		f.Fatalf("Scan(%q, %q) = %v", p, prefix, err)
	}
	return found
}
