// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Interrupted is a store at which something else happens once between two calls, for
// the tests of those who make several and must not lose what is moved meanwhile.
type Interrupted struct {
	store.Store
	// Before is the call, counted from 1, before which Do is done.
	Before int
	Do     func()

	calls int
}

// Done reports whether there was such a call.
func (i *Interrupted) Done() bool { return i.calls >= i.Before }

func (i *Interrupted) call() {
	if i.calls++; i.calls == i.Before {
		i.Do()
	}
}

func (i *Interrupted) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	i.call()
	return i.Store.View(ctx, p, fn)
}

func (i *Interrupted) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	i.call()
	return i.Store.Update(ctx, p, fn)
}

func (i *Interrupted) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	i.call()
	return i.Store.Scan(ctx, p, prefix, fn)
}
