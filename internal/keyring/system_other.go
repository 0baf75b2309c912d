// SPDX-License-Identifier: Apache-2.0

//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package keyring

// lock does nothing on this system: do not rotate the keys of one file in two
// processes at once.
func lock(string) (unlock func(), err error) { return func() {}, nil }

// syncFolder does nothing on this system, which does not let folders be synced.
func syncFolder(string) error { return nil }
