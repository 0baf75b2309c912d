// SPDX-License-Identifier: Apache-2.0

package keyring

// Between puts a function between this package and the disk, until it is undone.
func Between(with func(what string, do func() error) error) (undo func()) {
	former := step
	step = with
	return func() { step = former }
}
