// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Store is a guest of the name space threepid.stores. A store that is open stays
// open across reloads: configurations whose modules have the same ID and PoolKey
// share it.
type Store interface {
	// PoolKey names what OpenStore would open, in a form that is the same
	// however the configuration spells it. It is called at start and may do
	// I/O.
	PoolKey() (string, error)

	// FixedOptions are the options, besides what is in PoolKey, that cannot
	// change while the store is open, in any form that can be compared. A
	// configuration with different ones for an open store is rejected.
	FixedOptions() string

	// OpenStore opens the store. It is not called while a store of the same
	// PoolKey is open. The logger outlives the configuration.
	OpenStore(logger *zap.Logger) (store.Store, error)
}

// Embedded is a store that is a folder of this machine, and that one process at a
// time can have open: where another has it, OpenStore returns ErrInUse.
type Embedded interface {
	// Folder is where it is, as the configuration names it.
	Folder() string
	// Free is how many bytes are left there.
	Free() (uint64, error)
	// Look opens it to be read only, and changes nothing. Others may look too.
	// It returns ErrNone if there is no store yet, and ErrNotClosed if it can be
	// read only by opening it.
	Look() (View, error)
}

// View is a store that is only looked into.
type View interface {
	store.Reader
	io.Closer
}

// What there is to say of an embedded store; an error that wraps one of them says
// which store it is about.
var (
	ErrInUse     = errors.New("the store is in use by another process")
	ErrNone      = errors.New("there is no store yet")
	ErrNotClosed = errors.New("the store was not closed")
)
