// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	made := 0
	secret := func() string { made++; return "made up" }
	for range 2 {
		got, err := Keep(path, secret)
		if err != nil {
			t.Fatal(err)
		}
		if want := "made up"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if made != 1 {
		t.Errorf("made %d secrets, want one that is kept", made)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode: got %o, want %o", got, want)
	}
	if _, err := Keep(filepath.Join(path, "below a file"), secret); err == nil {
		t.Error("impossible path: got no error")
	}
}
