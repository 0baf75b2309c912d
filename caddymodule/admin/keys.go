// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// Keys is how the key file stands after it was looked after.
type Keys struct {
	Keys []KeyState `json:"keys"` // the one in use first
	// Moved is how many old records are sealed with the key in use since.
	Moved int `json:"moved"`
	// Pending says that others follow, in the background.
	Pending bool `json:"pending,omitempty"`
	// Dropped are the ids of the keys that were taken out of the file.
	Dropped []int `json:"dropped"`
}

// KeyState is what may be told of a key.
type KeyState struct {
	ID    int        `json:"id"`
	Since *time.Time `json:"since,omitempty"`
	// NeededUntil is when a former key can be dropped, if nothing is sealed with
	// it then.
	NeededUntil *time.Time `json:"needed_until,omitempty"`
	// Records is how many are sealed with it.
	Records int `json:"records"`
}

func rotateKeys(ctx context.Context, app *caddymodule.App, _ Nothing) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	report, err := inst.RotateKeys(ctx)
	if errors.Is(err, keyring.ErrTooManyKeys) || errors.Is(err, instance.ErrOtherKeys) {
		return nil, caddy.APIError{HTTPStatus: http.StatusConflict, Err: err}
	}
	return keysOf(report), err
}

func pruneKeys(ctx context.Context, app *caddymodule.App, _ Nothing) (any, error) {
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	report, err := inst.PruneKeys(ctx)
	return keysOf(report), err
}

func keysOf(r instance.KeysReport) Keys {
	keys := Keys{Moved: r.Moved, Pending: r.Pending, Dropped: []int{}}
	for _, k := range r.Keys {
		keys.Keys = append(keys.Keys, KeyState{ID: int(k.ID), Since: known(k.Since), NeededUntil: known(k.NeededUntil), Records: k.Records})
	}
	for _, id := range r.Dropped {
		keys.Dropped = append(keys.Dropped, int(id))
	}
	return keys
}
