// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
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

func adminRotate(ctx context.Context, app *App, _ nothing) (any, error) {
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	now := time.Now()
	err = app.changeKeys(ctx, rt, func(path string) (*keyring.Ring, error) { return keyring.Rotate(path, now) })
	if errors.Is(err, keyring.ErrTooManyKeys) || errors.Is(err, errOtherKeys) {
		return nil, caddy.APIError{HTTPStatus: http.StatusConflict, Err: err}
	}
	if err != nil {
		return nil, err
	}
	app.logger.Info("a new key is in use")
	return app.lookAfterKeys(ctx, rt, now)
}

func adminPrune(ctx context.Context, app *App, _ nothing) (any, error) {
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	return app.lookAfterKeys(ctx, rt, time.Now())
}

// lookAfterKeys moves old records to the key in use, and drops the keys that
// nothing needs any more.
func (a *App) lookAfterKeys(ctx context.Context, rt *runtime, now time.Time) (Keys, error) {
	before := rt.keys.Keys()
	moved, err := rt.reseal(ctx)
	answer := Keys{Moved: moved, Dropped: []int{}}
	if ctx.Err() != nil {
		a.resealLater(rt) //nolint:contextcheck // it goes on after the request
		answer.Pending = true
		return answer, nil
	}
	if err != nil {
		return answer, err
	}
	if err := a.drop(ctx, rt, now); err != nil {
		return answer, err
	}
	counts, err := sealed.SealedBy(ctx, rt.store)
	if err != nil {
		return answer, err
	}
	left := map[byte]bool{}
	for _, k := range rt.keys.Keys() {
		left[k.ID] = true
		state := KeyState{ID: int(k.ID), Since: known(k.Since), Records: counts[k.ID]}
		if !k.Retired.IsZero() {
			state.NeededUntil = known(k.Retired.Add(rt.retention()))
		}
		answer.Keys = append(answer.Keys, state)
	}
	for _, k := range before {
		if !left[k.ID] {
			answer.Dropped = append(answer.Dropped, int(k.ID))
		}
	}
	return answer, nil
}
