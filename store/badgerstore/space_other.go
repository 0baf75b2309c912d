// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !freebsd

package badgerstore

// freeSpace cannot tell on this system, so updates are never refused.
func freeSpace(string) (int64, bool) { return 0, false }
