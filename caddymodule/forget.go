// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Forgotten is what was erased.
type Forgotten struct {
	Entries int `json:"entries"`
	// Erased is how many entries of each kind.
	Erased map[string]int `json:"erased"`
	// Compacted says that the files of the store do not have them any more
	// either. Otherwise that happens by itself, in time.
	Compacted bool `json:"compacted"`
	// Left are folders that messages were written into instead of being sent: what
	// is in them is not erased.
	Left []string `json:"left,omitempty"`
}

func (a *App) forget(ctx context.Context, rt *runtime, req addressRequest) (any, error) {
	answer, err := rt.forget(ctx, req)
	answer.Left = a.folders(req.Medium)
	return answer, err
}

// mailFolder is where mail is written that is not sent, or empty.
func (a *App) mailFolder() string {
	if file, ok := a.mailer.(guest.Folder); ok {
		return file.Folder()
	}
	return ""
}

// folders are where messages of a medium are written for want of a transport.
func (a *App) folders(medium verification.Medium) (list []string) {
	if folder := a.mailFolder(); folder != "" && medium == verification.Email {
		list = append(list, folder)
	}
	for _, name := range slices.Sorted(maps.Keys(a.gateways)) {
		if file, ok := a.gateways[name].(guest.Folder); ok && medium == verification.MSISDN {
			list = append(list, file.Folder())
		}
	}
	return list
}

// forget erases an address wherever it is kept. Nothing is moved meanwhile, or
// it could be missed on its way.
func (rt *runtime) forget(ctx context.Context, req addressRequest) (Forgotten, error) {
	rt.store.moving.Lock()
	defer rt.store.moving.Unlock()
	gone, err := rt.service.Forget(ctx, req.Medium, req.Address)
	if err != nil {
		return Forgotten{}, err
	}
	listed, err := rt.suppression.Remove(ctx, req.Medium, req.Address)
	if err != nil {
		return Forgotten{}, err
	}
	gone["suppressions"] = 0
	if listed {
		gone["suppressions"] = 1
	}
	if rt.phones != nil && req.Medium == verification.MSISDN {
		if gone["shield"], err = rt.phones.shield.Forget(ctx, req.Address); err != nil {
			return Forgotten{}, err
		}
	}
	answer := Forgotten{Entries: gone.Total(), Erased: gone}
	if files, ok := rt.store.Store.(store.Compacter); ok {
		err := files.Compact(ctx)
		if answer.Compacted = err == nil; !answer.Compacted {
			processLogger("threepid.store").Warn("what was erased is still in the files of the store", zap.Error(err))
		}
	}
	return answer, nil
}
