// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Forgotten is what was erased.
type Forgotten struct {
	// Entries is how many in all, and Erased how many of each kind.
	Entries int
	Erased  map[string]int
	// Compacted says that the files of the store do not have them any more
	// either. Otherwise that happens by itself, in time.
	Compacted bool
	// Left are folders that messages were written into instead of being sent: what
	// is in them is not erased.
	Left []string
}

// Forget erases an address wherever it is kept. Nothing is moved meanwhile, or
// it could be missed on its way.
func (i *Instance) Forget(ctx context.Context, id threepid.ThreePID) (Forgotten, error) {
	i.Store.moving.Lock()
	defer i.Store.moving.Unlock()
	gone, err := sealed.Erase(ctx, i.Store, i.Keys, id)
	if err != nil {
		return Forgotten{}, err
	}
	forgotten := Forgotten{Entries: gone.Total(), Erased: gone, Left: i.folders(id.Medium)}
	if files, ok := i.Store.Store.(store.Compacter); ok {
		err := files.Compact(ctx)
		if forgotten.Compacted = err == nil; !forgotten.Compacted {
			i.Store.logger.Warn("what was erased is still in the files of the store", zap.Error(err))
		}
	}
	return forgotten, nil
}

// folderOf is where a guest writes messages that it does not send, or empty.
func folderOf(g any) string {
	if f, ok := g.(guest.Folder); ok {
		return f.Folder()
	}
	return ""
}

// folders are where messages of a medium are written for want of a transport.
func (i *Instance) folders(medium threepid.Medium) (list []string) {
	if folder := folderOf(i.cfg.Mailer); folder != "" && medium == threepid.Email {
		list = append(list, folder)
	}
	for _, name := range slices.Sorted(maps.Keys(i.cfg.Gateways)) {
		if folder := folderOf(i.cfg.Gateways[name]); folder != "" && medium == threepid.MSISDN {
			list = append(list, folder)
		}
	}
	return list
}
