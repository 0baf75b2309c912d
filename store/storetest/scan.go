// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func testScan(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"Empty", func(f *fixture) {
			if got := f.scan(part, ""); len(got) != 0 {
				f.Errorf("Scan() found %q, want nothing", got)
			}
		}},
		{"OrderAndPrefix", testScanOrderAndPrefix},
		{"Many", testScanMany},
		{"EarlyStop", testScanEarlyStop},
		{"Error", testScanError},
		{"UpdateInside", testScanUpdateInside},
	})
}

func testScanOrderAndPrefix(f *fixture) {
	keys := []string{"b", "a", "ab", "abc", "a\xff", "a\x00", "B", "\xff", "\x00", "a/b", "éa"}
	for _, key := range keys {
		f.set(part, key, "v", time.Time{})
	}
	tests := []struct {
		prefix string
		want   []string
	}{
		{"", []string{"\x00", "B", "a", "a\x00", "a/b", "ab", "abc", "a\xff", "b", "éa", "\xff"}},
		{"a", []string{"a", "a\x00", "a/b", "ab", "abc", "a\xff"}},
		{"ab", []string{"ab", "abc"}},
		{"abc", []string{"abc"}},
		{"abcd", nil},
		{"a\xff", []string{"a\xff"}},
		{"\xff", []string{"\xff"}},
		{"\xc3", []string{"éa"}}, // half a character: prefixes are bytes
		{"c", nil},
	}
	for _, tt := range tests {
		var want []string
		for _, key := range tt.want {
			want = append(want, key+"=v")
		}
		if got := f.scan(part, tt.prefix); !slices.Equal(got, want) {
			f.Errorf("Scan(%q) found %q, want %q", tt.prefix, got, want)
		}
	}
}

// More entries than any engine fetches at once, some of them deleted.
func testScanMany(f *fixture) {
	const entries = 2500
	f.update(part, func(tx store.Txn) error {
		for i := range entries {
			key := fmt.Sprintf("%05d", i*7919%entries)
			if err := tx.Set(key, []byte("of "+key), f.now().Add(time.Hour)); err != nil {
				return err
			}
		}
		return nil
	})
	var want []string
	f.update(part, func(tx store.Txn) error {
		want = want[:0]
		for i := range entries {
			key := fmt.Sprintf("%05d", i)
			if i%3 != 0 {
				want = append(want, key+"=of "+key)
			} else if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
	if got := f.scan(part, ""); !slices.Equal(got, want) {
		f.Errorf("Scan() found %d entries, want %d, or they differ", len(got), len(want))
	}
}

func testScanEarlyStop(f *fixture) {
	for _, key := range []string{"a", "b", "c"} {
		f.set(part, key, "v", time.Time{})
	}
	var got []string
	err := f.store.Scan(f.Context(), part, "", func(key string, _ []byte) (bool, error) {
		got = append(got, key)
		return key != "b", nil
	})
	if want := []string{"a", "b"}; err != nil || !slices.Equal(got, want) {
		f.Errorf("Scan() visited %q, %v, want %q, nil", got, err, want)
	}
}

func testScanError(f *fixture) {
	for _, key := range []string{"a", "b"} {
		f.set(part, key, "v", time.Time{})
	}
	for _, more := range []bool{true, false} {
		var got []string
		err := f.store.Scan(f.Context(), part, "", func(key string, _ []byte) (bool, error) {
			got = append(got, key)
			return more, errRefused
		})
		if want := []string{"a"}; !errors.Is(err, errRefused) || !slices.Equal(got, want) {
			f.Errorf("Scan() visited %q, %v, want %q, %v", got, err, want, errRefused)
		}
	}
}

// What a sweep does: it scans, and takes what it finds in an Update.
func testScanUpdateInside(f *fixture) {
	for _, key := range []string{"a", "b", "c"} {
		f.set(part, key, "v", time.Time{})
	}
	visited := 0
	err := f.store.Scan(f.Context(), part, "", func(key string, _ []byte) (bool, error) {
		visited++
		return true, f.store.Update(f.Context(), part, func(tx store.Txn) error {
			if _, err := tx.Get(key); err != nil {
				return err
			}
			return tx.Delete(key)
		})
	})
	if err != nil || visited != 3 {
		f.Errorf("Scan() visited %d entries, %v, want 3, nil", visited, err)
	}
	if got := f.scan(part, ""); len(got) != 0 {
		f.Errorf("Scan() found %q, want nothing", got)
	}
}
