// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
)

// ErrOtherKeys refuses to touch a key file that the server does not run with.
var ErrOtherKeys = errors.New("the key file does not have the key that this server is using: reload the configuration first")

// changeKeys changes the key file, notes that in the store, and then lets everybody
// use what is in it. The file comes first: what is sealed by a key must not outlive
// it. The note comes before the use: a file of before must not open what is sealed
// by now.
func (i *Instance) changeKeys(ctx context.Context, change func(path string) (*keyring.Ring, error)) error {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	path := i.cfg.KeyFile
	before, err := keyring.Load(path)
	if err != nil {
		return err
	}
	if !before.Knows(i.Keys) {
		return ErrOtherKeys
	}
	after, err := change(path)
	if err != nil {
		return err
	}
	if !after.Knows(i.Keys) {
		return ErrOtherKeys
	}
	// Begun, it has to come to its end: the file is changed.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyFileTime)
	defer cancel()
	if _, err := keycheck.Claim(ctx, i.Store, after, time.Now()); err != nil {
		return fmt.Errorf("note the keys in the store (a reload tries again): %w", err)
	}
	i.Keys.Replace(after)
	return nil
}

// reclaim seals the check record with the key in use, if it is not.
func (i *Instance) reclaim(ctx context.Context) error {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	if _, err := keycheck.Claim(ctx, i.Store, i.Keys, time.Now()); err != nil {
		return fmt.Errorf("seal the check record with the new key: %w", err)
	}
	return nil
}

// resealTime bounds what goes on in the background; the next start goes on.
const resealTime = time.Hour

// reseal moves what outlives a former key to the one in use.
func (i *Instance) reseal(ctx context.Context) (moved int, err error) {
	i.Store.moving.Lock()
	defer i.Store.moving.Unlock()
	if err := i.reclaim(ctx); err != nil {
		return 0, err
	}
	return sealed.Reseal(ctx, i.Service, i.Suppression)
}

// resealLater is reseal in the background. It ends early when the store is about
// to be closed.
func (i *Instance) resealLater() {
	release := i.Store.Hold()
	go func() {
		defer release()
		ctx, cancel := context.WithTimeout(i.Store.life, resealTime)
		defer cancel()
		moved, err := i.reseal(ctx)
		switch {
		case i.Store.life.Err() != nil:
		case err != nil:
			i.logger.Warn("old records are still sealed with former keys", zap.Error(err))
		case moved > 0:
			i.logger.Info("old records are sealed with the new key", zap.Int("records", moved))
		}
	}()
}

// retention is how long a former key stays, whatever is sealed by it: names in
// the store are hashes, and do not tell by which key.
func (i *Instance) retention() time.Duration {
	return max(i.Service.Retention(), 35*24*time.Hour) // the longest limits of short messages count days
}

// drop drops the keys that were replaced long ago and have sealed nothing that is
// left.
func (i *Instance) drop(ctx context.Context, now time.Time) error {
	counts, err := sealed.SealedBy(ctx, i.Store)
	if err != nil {
		return err
	}
	return i.changeKeys(ctx, func(path string) (*keyring.Ring, error) {
		return keyring.Drop(path, func(k keyring.KeyInfo) bool {
			return !k.Retired.IsZero() && now.Sub(k.Retired) >= i.retention() && counts[k.ID] == 0
		})
	})
}

// KeysReport is how the key file stands after it was looked after.
type KeysReport struct {
	Keys []KeyReport // the one in use first
	// Moved is how many old records are sealed with the key in use since.
	Moved int
	// Pending says that others follow, in the background.
	Pending bool
	// Dropped are the ids of the keys that were taken out of the file.
	Dropped []byte
}

// KeyReport is what may be told of a key.
type KeyReport struct {
	ID    byte
	Since time.Time // or zero
	// NeededUntil is when a former key can be dropped, if nothing is sealed with
	// it then; zero for the one in use.
	NeededUntil time.Time
	// Records is how many are sealed with it.
	Records int
}

// RotateKeys begins to use a new key, and looks after the former ones.
func (i *Instance) RotateKeys(ctx context.Context) (KeysReport, error) {
	now := time.Now()
	err := i.changeKeys(ctx, func(path string) (*keyring.Ring, error) { return keyring.Rotate(path, now) })
	if err != nil {
		return KeysReport{}, err
	}
	i.logger.Info("a new key is in use")
	return i.lookAfterKeys(ctx, now)
}

// PruneKeys looks after the keys there are.
func (i *Instance) PruneKeys(ctx context.Context) (KeysReport, error) {
	return i.lookAfterKeys(ctx, time.Now())
}

// lookAfterKeys moves old records to the key in use, and drops the keys that
// nothing needs any more.
func (i *Instance) lookAfterKeys(ctx context.Context, now time.Time) (KeysReport, error) {
	before := i.Keys.Keys()
	moved, err := i.reseal(ctx)
	report := KeysReport{Moved: moved}
	if ctx.Err() != nil {
		i.resealLater() //nolint:contextcheck // it goes on after the request
		report.Pending = true
		return report, nil
	}
	if err != nil {
		return report, err
	}
	if err := i.drop(ctx, now); err != nil {
		return report, err
	}
	counts, err := sealed.SealedBy(ctx, i.Store)
	if err != nil {
		return report, err
	}
	left := map[byte]bool{}
	for _, k := range i.Keys.Keys() {
		left[k.ID] = true
		one := KeyReport{ID: k.ID, Since: k.Since, Records: counts[k.ID]}
		if !k.Retired.IsZero() {
			one.NeededUntil = k.Retired.Add(i.retention())
		}
		report.Keys = append(report.Keys, one)
	}
	for _, k := range before {
		if !left[k.ID] {
			report.Dropped = append(report.Dropped, k.ID)
		}
	}
	return report, nil
}

// CheckCopy finds out which keys a copy of the key file lacks, and notes one that is
// whole. Same says that the file is the key file itself, under whatever name.
func (i *Instance) CheckCopy(ctx context.Context, file string, marks []keyring.Mark) (lacks []int, same bool, err error) {
	keyFiles.Lock() // no rotation in between
	defer keyFiles.Unlock()
	if sameFile(file, i.cfg.KeyFile) {
		return nil, true, nil
	}
	if lacks, err = keycheck.Save(ctx, i.Store, i.Keys, marks, time.Now()); err != nil {
		return nil, false, fmt.Errorf("note the copy of the key file: %w", err)
	}
	return lacks, false, nil
}

// sameFile reports whether a file that the operator has named is the one of the
// server, by way of a link, say. One that the server does not see is another.
func sameFile(named, ours string) bool {
	a, err := os.Stat(named)
	if err != nil {
		return false
	}
	b, err := os.Stat(ours)
	return err == nil && os.SameFile(a, b)
}
