// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// keyFiles is held from reading a key file to using what was read: a reload must
// not put back the keys of before a rotation.
var keyFiles sync.Mutex

// acquire reads the key file, and opens the store or joins those who have.
func (a *App) acquire() (any, *sharedStore, error) {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	c, err := take(a.settings.keyFile)
	if err != nil {
		return nil, nil, err
	}
	return acquireStore(a.store, c)
}

// errOtherKeys refuses to touch a key file that the server does not run with.
var errOtherKeys = errors.New("the key file does not have the key that this server is using: reload the configuration first")

// changeKeys changes the key file, notes that in the store, and then lets everybody
// use what is in it. The file comes first: what is sealed by a key must not outlive
// it. The note comes before the use: a file of before must not open what is sealed
// by now.
func (a *App) changeKeys(ctx context.Context, rt *runtime, change func(path string) (*keyring.Ring, error)) error {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	path := a.settings.keyFile
	before, err := keyring.Load(path)
	if err != nil {
		return err
	}
	if !before.Knows(rt.keys) {
		return errOtherKeys
	}
	after, err := change(path)
	if err != nil {
		return err
	}
	if !after.Knows(rt.keys) {
		return errOtherKeys
	}
	// Begun, it has to come to its end: the file is changed.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), custodyTime)
	defer cancel()
	if _, err := keycheck.Claim(ctx, rt.store, after, time.Now()); err != nil {
		return fmt.Errorf("note the keys in the store (a reload tries again): %w", err)
	}
	rt.keys.Replace(after)
	return nil
}

// reclaim seals the check record with the key in use, if it is not.
func (rt *runtime) reclaim(ctx context.Context) error {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	if _, err := keycheck.Claim(ctx, rt.store, rt.keys, time.Now()); err != nil {
		return fmt.Errorf("seal the check record with the new key: %w", err)
	}
	return nil
}

// resealTime bounds what goes on in the background; the next start goes on.
const resealTime = time.Hour

// reseal moves what outlives a former key to the one in use.
func (rt *runtime) reseal(ctx context.Context) (moved int, err error) {
	rt.store.moving.Lock()
	defer rt.store.moving.Unlock()
	if err := rt.reclaim(ctx); err != nil {
		return 0, err
	}
	return sealed.Reseal(ctx, rt.service, rt.suppression)
}

// resealLater is reseal in the background. It ends early when the store is about
// to be closed.
func (a *App) resealLater(rt *runtime) {
	release := rt.store.hold()
	go func() {
		defer release()
		ctx, cancel := context.WithTimeout(rt.store.life, resealTime)
		defer cancel()
		moved, err := rt.reseal(ctx)
		switch {
		case rt.store.life.Err() != nil:
		case err != nil:
			a.logger.Warn("old records are still sealed with former keys", zap.Error(err))
		case moved > 0:
			a.logger.Info("old records are sealed with the new key", zap.Int("records", moved))
		}
	}()
}

// retention is how long a former key stays, whatever is sealed by it: names in
// the store are hashes, and do not tell by which key.
func (rt *runtime) retention() time.Duration {
	return max(rt.service.Retention(), 35*24*time.Hour) // the longest limits of short messages count days
}

// drop drops the keys that were replaced long ago and have sealed nothing that is
// left.
func (a *App) drop(ctx context.Context, rt *runtime, now time.Time) error {
	counts, err := sealed.SealedBy(ctx, rt.store)
	if err != nil {
		return err
	}
	return a.changeKeys(ctx, rt, func(path string) (*keyring.Ring, error) {
		return keyring.Drop(path, func(k keyring.KeyInfo) bool {
			return !k.Retired.IsZero() && now.Sub(k.Retired) >= rt.retention() && counts[k.ID] == 0
		})
	})
}
