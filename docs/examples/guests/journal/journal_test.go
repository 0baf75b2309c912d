// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"path/filepath"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestJournalConforms runs the suite that every store has to pass.
func TestJournalConforms(t *testing.T) {
	paths := map[store.Store]string{}
	open := func(t *testing.T, path string) store.Store {
		t.Helper()
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		paths[s] = path
		return s
	}
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, filepath.Join(t.TempDir(), "journal"))
	}, storetest.WithReopen(func(t *testing.T, s store.Store) store.Store { return open(t, paths[s]) }))
}
