// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// The language of a notice must not be the choice of whoever it warns of: a
// thief would have it written in one that its reader takes for spam. So it is
// remembered in which language the owner of an address has last confirmed
// something: that was mailed to them, and they have understood it.

// languageMemory is how long it is remembered.
const languageMemory = 365 * 24 * time.Hour

// spoken is the record of it.
type spoken struct {
	_        struct{} `cbor:",toarray"`
	Language string
}

func (n naming) languageNames(medium Medium, addr string) []string {
	return n.keys.HashTexts("language of address", string(medium), addr)
}

// noteLanguage remembers the language of a session that was just confirmed.
// Should it fail, the next one is remembered.
func (s *Service) noteLanguage(ctx context.Context, c Confirmed) {
	if c.Language == "" {
		return
	}
	name := s.languageNames(c.Medium, c.Address)[0]
	_ = store.UpdateAsync(context.WithoutCancel(ctx), s.store, sealed.PartitionOf(name), func(txn store.Txn) error {
		return kindLanguage.Put(txn, s.keys, kindLanguage.Key(name), spoken{Language: c.Language}, s.now().Add(languageMemory))
	})
}

// languageOf is the language of an address's owner, or empty. One that cannot be
// read is not known.
func (s *Service) languageOf(ctx context.Context, medium Medium, addr string) string {
	var rec spoken
	_ = s.anywhere(ctx, s.languageNames(medium, addr), func(txn store.Txn, name string) error {
		return kindLanguage.Get(txn, s.keys, kindLanguage.Key(name), &rec)
	})
	return rec.Language
}
