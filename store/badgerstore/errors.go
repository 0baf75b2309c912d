// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// ErrInUse is returned by [Open] for a directory that is open already, in this
// process or in another.
var ErrInUse = errors.New("directory is in use by another badger store, of this process or of another")

// errEngine stands for whatever Badger said that may not be repeated.
var errEngine = errors.New("storage engine failed")

// sentinels maps Badger's errors to those of the contract.
var sentinels = []struct{ from, to error }{
	{badger.ErrKeyNotFound, store.ErrNotFound},
	{badger.ErrDBClosed, store.ErrClosed},
	{badger.ErrTxnTooBig, store.ErrTooLarge},
	{errCorrupt, errCorrupt},
}

// systemErrors are the causes that an operator can do something about.
var systemErrors = []syscall.Errno{
	syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EACCES, syscall.EMFILE, syscall.ENOMEM,
}

// translate replaces an error of Badger by one that names only what was being
// done. Badger puts keys into its messages and flattens its causes to text, so
// that neither wrapping nor errors.As would do: the cause is looked up in the
// text and put in the place of it.
func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range sentinels {
		if strings.Contains(text, s.from.Error()) {
			return s.to
		}
	}
	for _, errno := range systemErrors {
		if strings.Contains(text, errno.Error()) {
			return fmt.Errorf("%s: %w", doing, errno)
		}
	}
	return fmt.Errorf("%s: %w", doing, errEngine)
}

// translateOpen translates an error of badger.Open. At this time Badger speaks
// of files, not of entries, and the operator needs to read it.
func translateOpen(dir string, err error) error {
	if strings.Contains(err.Error(), "Another process is using this Badger database") {
		return fmt.Errorf("open badger store in %q: %w", dir, ErrInUse)
	}
	return fmt.Errorf("open badger store in %q: %w", dir, err)
}
