// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keyring_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// TestTheLockIsOnTheFileThatIsThere: it may be replaced while somebody waits for it, and a
// lock on the former file keeps nobody from the one that has its name.
func TestTheLockIsOnTheFileThatIsThere(t *testing.T) {
	path, _ := made(t)
	replaced := false
	locked := errors.New("nothing was written")
	defer keyring.Between(func(what string, do func() error) error {
		switch {
		case what == "lock" && !replaced:
			replaced = true
			raw, err := os.ReadFile(path)
			if err = errors.Join(err, os.WriteFile(path+".new", raw, 0o600), os.Rename(path+".new", path)); err != nil {
				t.Error(err)
			}
		case what == "write":
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			locked = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			_ = file.Close()
		}
		return do()
	})()
	if _, err := keyring.Rotate(path, time.Now()); err != nil || !errors.Is(locked, syscall.EWOULDBLOCK) {
		t.Errorf("Rotate: %v; another process that wants the lock meanwhile: %v, want %v", err, locked, syscall.EWOULDBLOCK)
	}
}
