// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"

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

// holding is a journal with the entries that were written, one after the other.
func holding(t *testing.T, path string, keys ...string) *journal {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if err := s.Update(t.Context(), "p", func(tx store.Txn) error { return tx.Set(key, []byte("v"), time.Time{}) }); err != nil {
			t.Fatal(err)
		}
	}
	j, _ := s.(*journal)
	return j
}

// TestAWriteThatFailedBreaksNothing that is written when there is room again, wherever it
// was torn.
func TestAWriteThatFailedBreaksNothing(t *testing.T) {
	const line = `{"p":"p","w":{"torn":{"v":"AA=="}}}` + "\n"
	for n := range len(line) + 1 {
		path := filepath.Join(t.TempDir(), "journal")
		j := holding(t, path, "a")
		if _, err := j.file.WriteString(line[:n]); err != nil { // what was taken before the error
			t.Fatal(err)
		}
		if err := j.Update(t.Context(), "p", func(tx store.Txn) error { return tx.Set("b", nil, time.Time{}) }); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if again := holding(t, path); len(again.entries["p"]) != 2 || again.Close() != nil {
			t.Errorf("torn at %d: there are %v", n, again.entries)
		}
	}
}

// TestWhatCannotBeReadIsNotCutOff: a disk that fails has not come to an end.
func TestWhatCannotBeReadIsNotCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := holding(t, path, "a").Close(); err != nil {
		t.Fatal(err)
	}
	unreadable, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unreadable.Close() }()
	if err := (&journal{file: unreadable}).replay(); err == nil {
		t.Error("got no error")
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestOneFileHasOneName, before it is made and afterwards, by whatever link.
func TestOneFileHasOneName(t *testing.T) {
	dir, links := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "journal")
	for name, target := range map[string]string{"folder": dir, "file": file, "relative": "file"} {
		if err := os.Symlink(target, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	key := func(path ...string) string {
		got, err := (&Module{Path: filepath.Join(path...)}).PoolKey()
		if err != nil {
			return "none"
		}
		return got
	}
	before, throughFolder := key(file), key(links, "folder", "journal")
	if dangling := key(links, "file"); before != throughFolder || dangling != "none" {
		t.Errorf("before it is made: %s, %s, %s", before, throughFolder, dangling)
	}
	if err := holding(t, file).Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(links, "folder", "journal"), filepath.Join(links, "file"), filepath.Join(links, "relative")} {
		if got := key(path); got != before {
			t.Errorf("%s: got %s, want %s", path, got, before)
		}
	}
}
