// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Supported tells whether this system can install and run the peers of tests.
const Supported = true

// lockPoll is how often a held lock is tried again. An installation takes
// seconds, so nobody waits for the difference.
const lockPoll = 50 * time.Millisecond

// LockFile takes an exclusive lock on the file at path, which it makes if need
// be. The kernel drops the lock when its holder dies, so none goes stale.
func LockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil // which unlocks
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPoll):
		}
	}
}

// OwnGroup makes a child the leader of a process group, so that it can be ended with
// all it started, and a Ctrl-C in the terminal is ours to handle.
func OwnGroup() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(attr)
	return attr
}
