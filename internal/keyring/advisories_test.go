// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// TestAdvisory14_NoKeyIsImplicit: Synapse CVE-2019-5885 derived a key from what
// everybody knew when none was set. Here one is made, at random, and kept.
func TestAdvisory14_NoKeyIsImplicit(t *testing.T) {
	dir := t.TempDir()
	load := func(name string) *keyring.Ring {
		t.Helper()
		ring, err := keyring.LoadOrCreate(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	one, again, other := load("one"), load("one"), load("other")
	if one.HashText("x") != again.HashText("x") {
		t.Error("the key was not kept")
	}
	if one.HashText("x") == other.HashText("x") {
		t.Error("two servers have the same key")
	}
	info, err := os.Stat(filepath.Join(dir, "one"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
}

// TestAdvisory14_EveryByteOfAKeyIsDrawn, of the first one and of those of rotations: a
// key that is half a constant can be found by trying.
func TestAdvisory14_EveryByteOfAKeyIsDrawn(t *testing.T) {
	var seen [keyring.SecretSize]map[byte]bool
	for range 8 {
		path := filepath.Join(t.TempDir(), "keys.json")
		if _, err := keyring.LoadOrCreate(path); err != nil {
			t.Fatal(err)
		}
		if _, err := keyring.Rotate(path, time.Now()); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Keys []struct{ Secret []byte } }
		if err := json.Unmarshal(raw, &file); err != nil || len(file.Keys) != 2 {
			t.Fatalf("got %d keys, %v, want 2", len(file.Keys), err)
		}
		for _, key := range file.Keys {
			for i, b := range key.Secret {
				if seen[i] == nil {
					seen[i] = map[byte]bool{}
				}
				seen[i][b] = true
			}
		}
	}
	for i, values := range seen {
		if len(values) < 4 { // of 16; by chance less than once in 10¹⁹ runs
			t.Errorf("byte %d of 16 keys has %d values", i, len(values))
		}
	}
}
