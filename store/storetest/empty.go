// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// testEmpty asks a store that is a [store.Emptier] as it is, and looks into the
// partitions of any other.
func testEmpty(t *testing.T, c *suite) {
	c.runAll(t, []test{
		{"AtFirst", func(f *fixture) { f.wantEmpty(true) }},
		{"AnyPartition", func(f *fixture) {
			f.set("other", "key", "value", time.Time{})
			f.wantEmpty(false)
			f.delete("other", "key")
			f.wantEmpty(true)
		}},
		{"EmptyValue", func(f *fixture) {
			f.set(part, "key", "", time.Time{})
			f.wantEmpty(false)
		}},
		{"Expired", func(f *fixture) {
			expires := f.now().Add(f.life())
			f.set(part, "key", "value", expires)
			f.outlive(expires, f.has("key"))
			f.wantEmpty(true)
		}},
		{"Context", func(f *fixture) {
			cancelled, cancel := context.WithCancel(f.Context())
			cancel()
			if empty, err := store.Empty(cancelled, f.store, part); empty || !errors.Is(err, context.Canceled) {
				f.Errorf("Empty() = %v, want %v", err, context.Canceled)
			}
		}},
		{"Closed", func(f *fixture) {
			if err := f.store.Close(); err != nil {
				f.Error(err)
			}
			if empty, err := store.Empty(f.Context(), f.store, part); empty || !errors.Is(err, store.ErrClosed) {
				f.Errorf("Empty() after Close = %v, want %v", err, store.ErrClosed)
			}
		}},
	})
}

func (f *fixture) wantEmpty(want bool) {
	f.Helper()
	if got, err := store.Empty(f.Context(), f.store, part, "other"); got != want || err != nil {
		f.Errorf("Empty() = %v, %v, want %v", got, err, want)
	}
}
