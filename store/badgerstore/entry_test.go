// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 8e9).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		life := time.Duration(rapid.Int64Range(1, int64(1000*time.Hour)).Draw(t, "life"))
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")

		expires := now.Add(life)
		e := newEntry(value, expires, now)
		if got, want := len(e.raw), len(value)+headerSize; got != want {
			t.Fatalf("entry takes %d bytes, want %d", got, want)
		}
		for _, tt := range []struct {
			at   time.Time
			want bool
		}{
			{now, true},
			{expires.Add(-1), true},
			{expires.Add(expiryUnit), false},
			{expires.Add(1000 * time.Hour), false},
		} {
			got, live, err := decode(e.raw, tt.at)
			if err != nil || live != tt.want || !bytes.Equal(got, value) {
				t.Fatalf("%v after expiry, decode = %q, %v, %v, want %q, %v, nil",
					tt.at.Sub(expires), got, live, err, value, tt.want)
			}
		}
	})
}

// Badger's clock must never be the one that decides.
func TestBadgerDropsOnlyWhatHasExpired(t *testing.T) { synctest.Test(t, testBadgerDrops) }

func testBadgerDrops(t *testing.T) {
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		now := time.Now().Add(skew)
		for _, life := range []time.Duration{1, expiryUnit, time.Second, 1500 * time.Millisecond, time.Hour} {
			dropped := time.Unix(int64(newEntry(nil, now.Add(life), now).ttl), 0).Add(skew)
			if late := dropped.Sub(now.Add(life)); late < time.Second || late >= 2*time.Second {
				t.Errorf("with a clock off by %v, an entry of %v is dropped %v after its expiry, want 1s to 2s", skew, life, late)
			}
		}
	}
	if got := newEntry(nil, time.Time{}, time.Now()).ttl; got != 0 {
		t.Errorf("ttl of an entry without expiry = %d, want 0", got)
	}
}

func TestExpiryBeyondEncodingIsNever(t *testing.T) {
	now := time.Now()
	last := time.UnixMilli(maxExpiry * expiryUnit.Milliseconds())
	for expires, want := range map[time.Time]bool{last: false, last.Add(1): true, now.AddDate(1000, 0, 0): true} {
		e := newEntry([]byte("value"), expires, now)
		if _, live, err := decode(e.raw, now.AddDate(2000, 0, 0)); live != want || err != nil {
			t.Errorf("%v: decode = live %v, %v, want %v, nil", expires, live, err, want)
		}
		if got := e.ttl == 0; got != want {
			t.Errorf("%v: ttl = %d, want none: %v", expires, e.ttl, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 'v'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, _, err := decode(raw, time.Now())
		if short := len(raw) < headerSize; short != errors.Is(err, errCorrupt) {
			t.Errorf("decode of %d bytes = %v", len(raw), err)
		}
		if err == nil && !bytes.Equal(value, raw[headerSize:]) {
			t.Errorf("decode(%x) = %x", raw, value)
		}
	})
}

// A value that this version did not write is an error, not a panic and not a
// missing key.
func TestCorruptEntryIsAnError(t *testing.T) {
	s := openTest(t, Options{})
	err := s.update(t.Context(), func(tx *writeTxn) error {
		return tx.put(partitionPrefix("p")+"secret-key", entry{raw: []byte("x")})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, viewErr := lookup(s, "p", "secret-key")
	scanErr := s.Scan(t.Context(), "p", "", func(string, []byte) (bool, error) { return true, nil })
	updateErr := s.Update(t.Context(), "p", func(tx store.Txn) error { _, err := tx.Get("secret-key"); return err })
	stopped, _ := openStopped(t)
	abandon(t, stopped, "p", func(tx store.Txn) error {
		return tx.(*writeTxn).put(partitionPrefix("p")+"secret-key", entry{raw: []byte("x")})
	})
	_, _, pendingErr := stopped.run(t.Context(), func(tx *writeTxn) error {
		tx.partition = "p"
		_, err := tx.Get("secret-key")
		return err
	}, stopped.queue.signal)
	for op, err := range map[string]error{"View": viewErr, "Scan": scanErr, "Update": updateErr, "pending": pendingErr} {
		if !errors.Is(err, errCorrupt) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a corrupt entry = %v, want %v", op, err, errCorrupt)
		}
	}
}
