// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keyring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock waits for an exclusive lock on a file that is going to be replaced. The
// kernel drops it when its holder dies. Who has waited finds that the name
// leads to another file now, and locks that one.
func lock(path string) (unlock func(), err error) {
	for {
		file, err := open("open", path)
		if err != nil {
			return nil, fmt.Errorf("open key file: %w", err)
		}
		err = step("lock", func() error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX) })
		if errors.Is(err, syscall.EINTR) {
			_ = file.Close() // only read
			continue
		}
		held, heldErr := file.Stat()
		named, namedErr := os.Stat(path)
		if err = errors.Join(err, heldErr, namedErr); err != nil {
			return nil, errors.Join(fmt.Errorf("lock key file: %w", err), file.Close())
		}
		if os.SameFile(held, named) {
			return func() { _ = file.Close() }, nil // which unlocks
		}
		_ = file.Close() // it was replaced
	}
}

func open(what, path string) (file *os.File, err error) {
	err = step(what, func() error {
		file, err = os.Open(path)
		return err
	})
	return file, err
}

// syncFolder makes a new name in a file's folder survive a power cut.
func syncFolder(path string) error {
	dir, err := open("open folder", filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open folder of key file: %w", err)
	}
	err = step("sync folder", dir.Sync)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // not every file system can, or needs to
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("write folder of key file: %w", err)
	}
	return nil
}
