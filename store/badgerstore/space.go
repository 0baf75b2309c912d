// SPDX-License-Identifier: Apache-2.0

package badgerstore

import "errors"

// ErrSpaceUnknown is returned by [FreeSpace] where the system does not tell.
var ErrSpaceUnknown = errors.New("free space is not known")

// FreeSpace returns how many bytes are left to this user on the file system of
// a directory. Quotas are not seen.
func FreeSpace(dir string) (uint64, error) {
	return known(freeSpace(dir))
}

// known is what [FreeSpace] makes of an answer. Where only the superuser may write
// on, it is below zero.
func known(free int64, ok bool) (uint64, error) {
	if !ok {
		return 0, ErrSpaceUnknown
	}
	return uint64(max(free, 0)), nil
}
