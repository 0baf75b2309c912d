// SPDX-License-Identifier: Apache-2.0

package badgerstore

import "errors"

// ErrSpaceUnknown is returned by [FreeSpace] where the system does not tell.
var ErrSpaceUnknown = errors.New("free space is not known")

// FreeSpace returns how many bytes are left to this user on the file system of
// a directory. Quotas are not seen.
func FreeSpace(dir string) (uint64, error) {
	free, ok := freeSpace(dir)
	if !ok || free < 0 {
		return 0, ErrSpaceUnknown
	}
	return uint64(free), nil
}
