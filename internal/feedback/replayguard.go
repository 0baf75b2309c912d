// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// claims are the tokens that were seen.
var claims = sealed.Declare("webhook_claims", "xg/", sealed.Sharded, sealed.Unsealed, sealed.Kept,
	sealed.Never("a token and what came with it are hashes, and end within hours"))

// ReplayGuard binds a one-time token to the first content that it came with. Some
// signatures cover a token and not the content (Mailgun): without the guard
// whoever saw one request could sign any other. It lives in the store, so that
// a reload and a second instance know what the first one has seen.
type ReplayGuard struct {
	store store.Store
	keys  *keyring.Ring
}

// NewReplayGuard makes a guard.
func NewReplayGuard(s store.Store, keys *keyring.Ring) *ReplayGuard {
	return &ReplayGuard{store: s, keys: keys}
}

// Claim reports whether the token is new, or came with the same content
// before: a sender that got no answer repeats itself. The claim is forgotten
// at until, when the caller must refuse the token for its age.
func (g *ReplayGuard) Claim(ctx context.Context, token string, content [sha256.Size]byte, until time.Time) (bool, error) {
	const label = "webhook content"
	names := g.keys.HashTexts("webhook token", token)
	for _, former := range names[1:] {
		known, err := g.claimed(ctx, former)
		if err != nil {
			return false, fmt.Errorf("look for webhook token: %w", err)
		}
		if known != nil {
			return len(known) == keyring.HashSize && g.keys.Made([keyring.HashSize]byte(known), label, string(content[:])), nil
		}
	}
	name := names[0]
	key := claims.Key(name)
	digest := g.keys.Hash(label, string(content[:]))
	var mine bool
	err := g.store.Update(ctx, claims.Partition(name), func(txn store.Txn) error {
		known, err := txn.Get(key)
		if errors.Is(err, store.ErrNotFound) {
			mine = true
			return claims.Set(txn, key, digest[:], until)
		}
		mine = subtle.ConstantTimeCompare(known, digest[:]) == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim webhook token: %w", err)
	}
	return mine, nil
}

// claimed is what is stored under a name of before a change of keys, or nil.
// Nothing is written there any more.
func (g *ReplayGuard) claimed(ctx context.Context, name string) (known []byte, err error) {
	err = g.store.View(ctx, claims.Partition(name), func(txn store.Txn) error {
		known, err = txn.Get(claims.Key(name))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return known, err
}
