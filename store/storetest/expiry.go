// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// lateBy is how much longer than asked for an entry may live, and graceful
// what a busy machine is allowed on top of that.
const (
	lateBy   = 2 * time.Second
	graceful = 5 * time.Second
)

// life is how long the entries live that the tests wait for: by the clock of
// the test long enough that no engine drops them in real time meanwhile.
func (f *fixture) life() time.Duration {
	if f.advance != nil {
		return time.Hour
	}
	return 1500 * time.Millisecond
}

// outlive waits until an entry that expires at the given time must be gone. It
// calls live all along, which must be true up to that time.
func (f *fixture) outlive(expires time.Time, live func() bool) {
	f.Helper()
	if f.advance != nil {
		f.advance(expires.Sub(f.now()) - time.Millisecond)
		if !live() {
			f.Error("entry was gone just before its expiry")
		}
		f.advance(lateBy + time.Millisecond)
		return
	}
	for {
		seen := live()
		now := f.now()
		switch {
		case !seen && now.Before(expires):
			f.Fatalf("entry was gone %v before its expiry", expires.Sub(now))
		case !seen:
			return
		case now.After(expires.Add(lateBy + graceful)):
			f.Fatalf("entry was there %v after its expiry", now.Sub(expires))
		}
		time.Sleep(10 * time.Millisecond) // time is what this test is about
	}
}

// has is what outlive calls.
func (f *fixture) has(key string) func() bool {
	return func() bool {
		_, err := lookup(f.Context(), f.store, part, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			f.Fatalf("Get(%q) = %v", key, err)
		}
		return err == nil
	}
}

func testExpiry(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"Expires", testExpires},
		{"SetReplacesExpiry", testSetReplacesExpiry},
		{"PastDeletes", testPastDeletes},
		{"FarFuture", func(f *fixture) {
			f.set(part, "century", "value", f.now().AddDate(100, 0, 0))
			f.set(part, "millennium", "value", f.now().AddDate(1000, 0, 0))
			f.want(part, "century", "value")
			f.want(part, "millennium", "value")
		}},
		{"OtherTimeZone", func(f *fixture) {
			expires := f.now().Add(time.Hour)
			f.set(part, "east", "value", expires.In(time.FixedZone("east", 12*3600)))
			f.set(part, "west", "value", expires.In(time.FixedZone("west", -12*3600)))
			f.want(part, "east", "value")
			f.want(part, "west", "value")
		}},
	})
}

// testExpires waits once for everything that expiry changes.
func testExpires(f *fixture) {
	f.set(part, "forever", "value", time.Time{})
	f.set(part, "later", "value", f.now().Add(24*time.Hour))
	expires := f.now().Add(f.life())
	f.set(part, "soon", "value", expires)
	if got, want := f.scan(part, ""), []string{"forever=value", "later=value", "soon=value"}; !slices.Equal(got, want) {
		f.Errorf("before expiry, Scan() found %q, want %q", got, want)
	}
	f.outlive(expires, f.has("soon"))

	f.wantMissing(part, "soon")
	f.want(part, "later", "value")
	f.want(part, "forever", "value")
	if got, want := f.scan(part, ""), []string{"forever=value", "later=value"}; !slices.Equal(got, want) {
		f.Errorf("after expiry, Scan() found %q, want %q", got, want)
	}
	f.delete(part, "soon") // must not be an error
	f.set(part, "soon", "again", f.now().Add(24*time.Hour))
	f.want(part, "soon", "again")
}

func testSetReplacesExpiry(f *fixture) {
	far, near := f.now().Add(24*time.Hour), f.now().Add(f.life())
	f.set(part, "prolonged", "old", near)
	f.set(part, "prolonged", "new", far)
	f.set(part, "unbounded", "old", near)
	f.set(part, "unbounded", "new", time.Time{})
	f.set(part, "bounded", "old", time.Time{})
	f.set(part, "bounded", "new", near)
	f.update(part, func(tx store.Txn) error { // within one transaction
		return errors.Join(tx.Set("twice", []byte("old"), near), tx.Set("twice", []byte("new"), far))
	})
	f.set(part, "shortened", "old", far)
	f.set(part, "shortened", "new", near)
	f.outlive(near, f.has("shortened"))

	f.want(part, "prolonged", "new")
	f.want(part, "unbounded", "new")
	f.want(part, "twice", "new")
	f.wantMissing(part, "bounded")
	f.wantMissing(part, "shortened")
}

func testPastDeletes(f *fixture) {
	past := f.now().Add(-time.Minute)
	f.set(part, "old", "value", time.Time{})
	f.set(part, "old", "value", past)
	f.wantMissing(part, "old")
	f.set(part, "new", "value", past)
	f.wantMissing(part, "new")
	f.set(part, "epoch", "value", time.Unix(0, 0))
	f.wantMissing(part, "epoch")

	f.set(part, "key", "value", time.Time{})
	f.update(part, func(tx store.Txn) error {
		err := tx.Set("key", []byte("value"), past)
		if _, getErr := tx.Get("key"); !errors.Is(getErr, store.ErrNotFound) {
			f.Errorf("in the same transaction, Get() = %v, want %v", getErr, store.ErrNotFound)
		}
		return err
	})
	f.wantMissing(part, "key")
	if got := f.scan(part, ""); len(got) != 0 {
		f.Errorf("Scan() found %q, want nothing", got)
	}
}
