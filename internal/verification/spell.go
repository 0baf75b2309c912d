// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

var errOtherMailbox = errors.New("a spelling is not one of the mailbox that was proven")

// Spell sets how the homeserver is told what an alias proves: in the spelling by which
// it knows the address. A spelling of another mailbox is refused, whoever names it: that
// one was not proven.
func (s *Service) Spell(ctx context.Context, a *Alias, spelling string) error {
	if a.Medium != threepid.Email || !address.IsSpelling(spelling, a.Address) {
		return errOtherMailbox
	}
	p, _ := sealed.PartitionIn(a.SID)
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		var rec aliasRecord
		key, err := s.recall(txn, kindAlias, aliasLabel, string(a.SID), &rec)
		if err != nil {
			return err
		}
		rec.Spelling = spelling
		return kindAlias.Put(txn, s.keys, key, rec, s.inFlightEnd())
	})
}
