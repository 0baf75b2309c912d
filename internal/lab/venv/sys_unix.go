// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package venv

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// supported tells whether this system can run the servers.
const supported = true

// lockFile takes an exclusive lock on the file at path, which it makes if need
// be. The kernel drops the lock when its holder dies, so none goes stale.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() {
		for {
			err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
			if !errors.Is(err, syscall.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return func() { file.Close() }, nil
	case <-ctx.Done():
		go func() { // a waiting flock cannot be called off
			if err := <-locked; err != nil {
				return // it was never taken, and ends with this process
			}
			file.Close()
		}()
		return nil, ctx.Err()
	}
}

// ownGroup makes a child the leader of a process group, so that it can be
// ended with all it started, and a Ctrl-C in the terminal is ours to handle.
func ownGroup() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(attr)
	return attr
}

// signalGroup sends SIGTERM, or SIGKILL, to the group that pid leads.
func signalGroup(pid int, force bool) {
	sig := syscall.SIGTERM
	if force {
		sig = syscall.SIGKILL
	}
	_ = syscall.Kill(-pid, sig) // it may just have gone
}
