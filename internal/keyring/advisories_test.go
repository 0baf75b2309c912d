// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"os"
	"path/filepath"
	"testing"

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
