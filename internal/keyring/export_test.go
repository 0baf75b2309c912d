// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"errors"
	"io/fs"
)

// Between puts a function between this package and the disk, until it is undone.
func Between(with func(what string, do func() error) error) (undo func()) {
	former := step
	step = with
	return func() { step = former }
}

// LoadOrCreate reads the key file, or makes one with a fresh key when there
// is none. Two processes that start at once end up with the same key: the
// file appears whole and only once.
func LoadOrCreate(path string) (*Ring, error) {
	ring, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	d, err := Prepare(path)
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	ring, _, err = d.Place()
	return ring, err
}
