// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// The reader of a message is told that another request like it is open: somebody
// may have asked at the same moment, so that its reader confirms the wrong one.
// Sessions are found by their client_secret, so for this it is noted by address
// which ones there are; not when they are opened, which would take time that can
// be measured, but when their message is sent. Only the reader is told: in the
// message, and on the page behind its link.

// maxOpen is how many of the newest requests are remembered for each address and
// purpose.
const maxOpen = 8

// openRequests is the record of them, the newest last.
type openRequests struct {
	_    struct{} `cbor:",toarray"`
	SIDs []string
}

func (n naming) openNames(purpose Purpose, medium Medium, addr string) []string {
	return n.keys.HashTexts("open requests", string(purpose), string(medium), addr)
}

// NoteOpen remembers the session of a message that is about to be sent, and
// reports whether another one like it is open.
func (s *Service) NoteOpen(ctx context.Context, m Message) (bool, error) {
	names := s.openNames(m.Purpose, m.Medium, m.Address)
	var rec openRequests
	err := store.UpdateAsync(ctx, s.store, limitsPartition, func(txn store.Txn) error {
		rec = openRequests{}
		_, err := kindOpen.First(txn, s.keys, names, &rec)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		rec.SIDs = append(slices.DeleteFunc(rec.SIDs, func(sid string) bool { return sid == m.SID }), m.SID)
		rec.SIDs = rec.SIDs[max(0, len(rec.SIDs)-maxOpen):]
		return kindOpen.Put(txn, s.keys, kindOpen.Key(names[0]), rec, s.now().Add(2*s.cfg.SessionLifetime))
	})
	if err != nil {
		return false, err
	}
	return s.anyOpen(ctx, rec, m.SID)
}

// Another reports whether, besides the session sid, another one for the same
// purpose and address is open.
func (s *Service) Another(ctx context.Context, sid string, found Confirmed) (bool, error) {
	var rec openRequests
	names := s.openNames(found.Purpose, found.Medium, found.Address)
	err := s.viewLatest(ctx, limitsPartition, func(txn store.Txn) error {
		rec = openRequests{}
		_, err := kindOpen.First(txn, s.keys, names, &rec)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, err
	}
	return s.anyOpen(ctx, rec, sid)
}

func (s *Service) anyOpen(ctx context.Context, rec openRequests, but string) (bool, error) {
	now := s.now()
	for _, sid := range rec.SIDs {
		if sid == but {
			continue
		}
		session, _, err := s.look(ctx, sid)
		if errors.Is(err, ErrNoSession) {
			continue
		}
		if err != nil {
			return false, err
		}
		session.expireClaim(now)
		if session.confirmable(now) {
			return true, nil
		}
	}
	return false, nil
}

// confirmable reports whether a session can still prove something: it was
// confirmed, or can be by one of its tokens.
func (s *Session) confirmable(now time.Time) bool {
	switch {
	case s.Expired(now) || s.Decoy:
		return false
	case s.State == Validated:
		return true
	}
	return s.State == Pending && slices.ContainsFunc(s.Tokens, func(t Token) bool { return now.UnixMilli() < t.Expires })
}
