// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd

package badgerstore

import (
	"errors"
	"os"
	"syscall"
)

// inUse reports whether somebody has a database open: Badger locks its folder.
func inUse(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close() // and with it goes the lock
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
