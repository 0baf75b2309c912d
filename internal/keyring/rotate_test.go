// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// made is a key file of one key, in a folder of its own.
func made(t *testing.T) (path string, ring *keyring.Ring) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys.json")
	ring, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, ring
}

func rotated(t *testing.T, path string, now time.Time) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Rotate(path, now)
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return ring
}

// ids are those of a ring's keys.
func ids(r *keyring.Ring) (list []byte) {
	for _, k := range r.Keys() {
		list = append(list, k.ID)
	}
	return list
}

func TestRotatePutsANewKeyInFront(t *testing.T) {
	path, before := made(t)
	now := time.Now().Add(time.Hour)
	after := rotated(t, path, now)
	if got, want := ids(after), []byte{2, 1}; !slices.Equal(got, want) {
		t.Errorf("got keys %v, want %v", got, want)
	}
	if got, err := after.Open("c", before.Seal("c", []byte("old"))); err != nil || string(got) != "old" {
		t.Errorf("a record of before = %q, %v", got, err)
	}
	if after.Hash("l") == before.Hash("l") || !after.Made(before.Hash("l"), "l") {
		t.Error("want hashes by the new key, and those by the old one recognised")
	}
	loaded, err := keyring.Load(path)
	if err != nil || loaded.Hash("l") != after.Hash("l") {
		t.Errorf("the file holds another ring than was returned (%v)", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v (%v), want only the key file", entries, err)
	}
	keys := loaded.Keys()
	if want := now.UTC().Truncate(time.Second); !keys[0].Since.Equal(want) || !keys[1].Retired.Equal(want) || !keys[0].Retired.IsZero() {
		t.Errorf("got %+v, want one in use since %v and one retired then", keys, want)
	}
}

// TestRotateKeepsWhatOthersWrote: processes that share a file rotate one after
// the other, and no key is lost.
func TestRotateKeepsWhatOthersWrote(t *testing.T) {
	path, first := made(t)
	const others = keyring.MaxKeys - 1
	rings := make([]*keyring.Ring, others)
	var wg sync.WaitGroup
	for i := range others {
		wg.Go(func() { rings[i], _ = keyring.Rotate(path, time.Now()) })
	}
	wg.Wait()
	last, err := keyring.Load(path)
	if err != nil || len(last.Keys()) != keyring.MaxKeys || !last.Knows(first) {
		t.Fatalf("got %d keys (%v), want %d with the first among them", len(last.Keys()), err, keyring.MaxKeys)
	}
	for i, r := range rings {
		if r == nil || !last.Knows(r) {
			t.Errorf("the key of rotation %d was lost", i)
		}
	}
	if _, err := keyring.Rotate(path, time.Now()); !errors.Is(err, keyring.ErrTooManyKeys) || !strings.Contains(err.Error(), fmt.Sprintf("has %d keys", keyring.MaxKeys)) {
		t.Errorf("one more: %v, want %v, and how many", err, keyring.ErrTooManyKeys)
	}
}

// TestRotateThroughALink: what a link leads to is replaced, not the link.
func TestRotateThroughALink(t *testing.T) {
	path, first := made(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	rotated(t, link, time.Now())
	if ring, err := keyring.Load(path); err != nil || len(ring.Keys()) != 2 || !ring.Knows(first) {
		t.Errorf("the file itself was not rotated: %v", err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is now a %v (%v)", info.Mode(), err)
	}
}

func TestRotateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := keyring.Rotate(path, time.Now()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "find key file") {
		t.Errorf("a file that is not there: %v, want ErrNotExist", err)
	}
	for _, broken := range []string{`{"version":1,"keys":[]}`, `{"version":1,"keys":`, ""} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		_, rotate := keyring.Rotate(path, time.Now())
		_, drop := keyring.Drop(path, func(keyring.KeyInfo) bool { return true })
		if rotate == nil || drop == nil {
			t.Errorf("the broken file %q was rotated (%v) or pruned (%v)", broken, rotate, drop)
		}
		if after, _ := os.ReadFile(path); string(after) != broken {
			t.Errorf("the broken file was changed to %q", after)
		}
	}
	path, first := made(t)
	if ring, err := keyring.Rotate(path, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil || ring != nil || !strings.Contains(err.Error(), "encode key file") {
		t.Errorf("a time that no file can have: got %v, %v, want an error about it", ring, err)
	}
	if ring, err := keyring.Load(path); err != nil || !slices.Equal(ring.Marks(), first.Marks()) {
		t.Errorf("the file has other keys than before (%v)", err)
	}
}

// TestRotateCleansUp: what a process that was killed has left holds keys, and
// goes; what another one is writing at this moment stays.
func TestRotateCleansUp(t *testing.T) {
	path, _ := made(t)
	left, young := filepath.Join(filepath.Dir(path), ".keys-left"), filepath.Join(filepath.Dir(path), ".keys-young")
	for _, name := range []string{left, young} {
		if err := os.WriteFile(name, []byte(`{"version":1,"keys":[{"id":9`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	rotated(t, path, time.Now())
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old file is still there (%v)", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young file: %v", err)
	}
}

func TestRotateFindsAFreeID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	key := func(id string) string { return `{"id":` + id + `,"secret":"` + strings.Repeat("A", 43) + `="}` }
	content := `{"version":1,"keys":[` + key("255") + "," + key("0") + "," + key("1") + `]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := ids(rotated(t, path, time.Now())), []byte{2, 255, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDrop(t *testing.T) {
	path, first := made(t)
	rotated(t, path, time.Now())
	third := rotated(t, path, time.Now())
	tests := []struct {
		name string
		gone func(keyring.KeyInfo) bool
		want []byte
	}{
		{"none", func(keyring.KeyInfo) bool { return false }, []byte{3, 2, 1}},
		{"the one in the middle", func(k keyring.KeyInfo) bool { return k.ID == 2 }, []byte{3, 1}},
		{"all, and the one in use stays", func(keyring.KeyInfo) bool { return true }, []byte{3}},
	}
	for _, test := range tests {
		ring, err := keyring.Drop(path, test.gone)
		if err != nil || !slices.Equal(ids(ring), test.want) {
			t.Errorf("%s: got %v (%v), want %v", test.name, ids(ring), err, test.want)
		}
		loaded, err := keyring.Load(path)
		if err != nil || !slices.Equal(ids(loaded), test.want) || loaded.Hash("l") != third.Hash("l") {
			t.Errorf("%s: the file has %v (%v), want %v", test.name, ids(loaded), err, test.want)
		}
	}
	after, _ := keyring.Load(path)
	if _, err := after.Open("c", first.Seal("c", nil)); !errors.Is(err, keyring.ErrSealed) || after.Knows(first) {
		t.Errorf("a record of the dropped key: %v, want it closed", err)
	}
}
