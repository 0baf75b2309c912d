// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// TestDiscardedDraftLeavesNothing: neither the file, nor the folders for it.
func TestDiscardedDraftLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	d, err := keyring.Prepare(filepath.Join(dir, "a", "b", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "b", "keys.json")); err == nil {
		t.Error("a draft is under the name of the key file")
	}
	d.Discard()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v, want nothing", left, err)
	}
	// What somebody else has put there stays.
	if d, err = keyring.Prepare(filepath.Join(dir, "a", "b", "keys.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Discard()
	if _, err := os.Stat(filepath.Join(dir, "a", "other")); err != nil {
		t.Error(err)
	}
	// A folder that cannot be made leaves none of those above it.
	if _, err := keyring.Prepare(filepath.Join(dir, "a", "other", "keys.json")); err == nil || !strings.Contains(err.Error(), "make folder of key file") {
		t.Errorf("Prepare below a file = %v, want an error about the folder", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "a")); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v, want the file alone", left, err)
	}
}

// TestPlacedDraftIsTheFirst: the second of two drafts takes over the key of the first.
func TestPlacedDraftIsTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "keys.json")
	var rings [2]*keyring.Ring
	var drafts [2]*keyring.Draft
	for i := range drafts {
		var err error
		if drafts[i], err = keyring.Prepare(path); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range drafts {
		ring, ours, err := d.Place()
		if err != nil || ours != (i == 0) {
			t.Fatalf("Place() = %v, %v, want ours to be %v", ours, err, i == 0)
		}
		rings[i] = ring
		d.Discard()
	}
	if !slices.Equal(rings[0].Marks(), rings[1].Marks()) {
		t.Error("two keys were handed out for one file")
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v, want the key file alone", left, err)
	}
}

// TestDraftThatCannotBePlaced is ours from the moment when it has the name, unless
// another one had it before.
func TestDraftThatCannotBePlaced(t *testing.T) {
	theirs, _ := made(t)
	ours := filepath.Join(t.TempDir(), "keys.json")
	for _, test := range []struct {
		path string
		at   int
		want bool
	}{{ours, 0, false}, {ours, 1, true}, {theirs, 1, false}} {
		d, err := keyring.Prepare(test.path)
		if err != nil {
			t.Fatal(err)
		}
		broken := trip{at: test.at, err: errDisk}
		broken.over(func() {
			if ring, ours, err := d.Place(); ring != nil || ours != test.want || !errors.Is(err, errDisk) {
				t.Errorf("%s fails: got %v, %v, %v, want it to be ours: %v", broken.steps[test.at], ring, ours, err, test.want)
			}
		})
	}
}

func TestMarksTellKeysApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	one, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := keyring.Rotate(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, b := one.Marks(), two.Marks()
	if len(a) != 1 || len(b) != 2 || b[1] != a[0] || b[0] == a[0] || b[0].ID != 2 {
		t.Errorf("got marks %v and %v, want a new one before the same", a, b)
	}
}
