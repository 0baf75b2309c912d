// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// SessionEntry reports whether an entry is part of a session: the session, what
// leads to it, its messages, and what waits to become one. A backup knows nothing
// of what was used up after it was made, so that a restored session could be used
// a second time. Without its record, a sid of ours is one that has ended.
func SessionEntry(p store.Partition, key string) bool {
	if _, ours := partitionOf(string(p)); !ours || len(p) != partitionSize {
		return false
	}
	switch kindOf(key) + "/" {
	case kindSession, kindIndex, kindNonce, kindAlias, kindState, kindMessage, kindProgress, kindTie, kindOpen:
		return true
	}
	return false
}

// keyRestored is where it stands that the store was restored. It is no name that
// a hash has.
const keyRestored = kindTaint + "restored"

// MarkRestored notes in a store that it comes from a backup. UIA sessions that
// have held a proof since are not known in it, so that for as long as there can
// be any each of them is taken for one, see [Service.Taint].
func MarkRestored(ctx context.Context, s store.Store, now time.Time) error {
	return s.Update(ctx, PartitionName(0), func(txn store.Txn) error {
		return txn.Set(keyRestored, []byte{recordVersion}, now.Add(uiaLifetime))
	})
}

func (s *Service) restored(ctx context.Context) (bool, error) {
	err := s.store.View(ctx, PartitionName(0), func(txn store.Txn) error {
		_, err := txn.Get(keyRestored)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
