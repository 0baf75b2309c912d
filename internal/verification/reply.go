// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Reply is what was last said of a session's messages when one was not taken:
// by a relay or a gateway, or by us about it. It is for the operator who knows
// the address already, as relays repeat it; so it is sealed, and in no log.
type Reply struct {
	_    struct{} `cbor:",toarray"`
	Text string
	At   int64 // Unix milliseconds
}

func replyKey(sid threepid.SID) string { return kindReply.Key(string(sid[partitionSize:])) }

// NoteReply writes it down, in the transaction in which [NoteDelivery] is called.
// It costs nothing where messages are taken. It is found by its session, and ends with
// it: what nobody finds cannot be forgotten.
func NoteReply(txn store.Txn, keys *keyring.Ring, m Message, text string, now time.Time) error {
	sid, _, ok := splitID(m.ID)
	if !ok {
		return nil
	}
	var session Session
	switch err := kindSession.Get(txn, keys, sessionKey(sid), &session); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, keyring.ErrSealed), errors.Is(err, sealed.ErrForm):
		return nil
	case err != nil:
		return err
	}
	return kindReply.Put(txn, keys, replyKey(sid), Reply{Text: text, At: now.UnixMilli()}, session.gone())
}

// reply reads it; without one its text is empty.
func (s *Service) reply(ctx context.Context, sid threepid.SID) (said Reply, err error) {
	p, ok := s.ids.parse(sid)
	if !ok {
		return said, nil
	}
	var value []byte
	err = s.store.View(ctx, p, func(txn store.Txn) (err error) {
		value, err = txn.Get(replyKey(sid))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return said, nil
	}
	if err == nil && kindReply.Open(s.keys, replyKey(sid), value, &said) != nil {
		return Reply{}, nil // of another version, or of keys that are gone: nothing hangs on it
	}
	return said, err
}
