// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// What was made before a change of keys has the names and the hashes of the
// former key. Here it is found again. With one key, which is the common case,
// none of this costs anything.

// indexes are the names of a request's session by every key of a ring.
func (s *Service) indexes(req Request, keys *keyring.Ring) []string {
	return keys.HashTexts("session index", string(req.Purpose), string(req.Medium), string(req.ClientSecret), req.Address)
}

// locate names the session that a request continues, and by that the partition
// that it belongs to: under the key that it was opened with if it is still
// open, else under the one in use.
func (s *Service) locate(ctx context.Context, req Request) (openingRequest, error) {
	keys := s.keys.Fixed()
	indexes, secrets := s.indexes(req, keys), keys.Hashes(secretLabel, string(req.ClientSecret))
	newest := s.openingRequestOf(req, indexes[0], secrets[0])
	if len(indexes) == 1 {
		return newest, nil
	}
	for i, index := range indexes {
		o := opening{svc: s, req: s.openingRequestOf(req, index, secrets[i]), partition: sealed.PartitionOf(index)}
		var session *Session
		err := s.store.View(ctx, o.partition, func(txn store.Txn) (err error) {
			session, err = o.find(txn, s.now())
			return err
		})
		if err != nil {
			return newest, err
		}
		if session != nil {
			return o.req, nil
		}
	}
	return newest, nil
}

// recall reads what was stored under the name of a text, by whichever key, and
// returns where it is. All names of an identifier that begins with its
// partition are in that partition.
func (s *Service) recall(txn store.Txn, kind *sealed.Kind, label, text string, into any) (key string, err error) {
	return kind.First(txn, s.keys, s.keys.HashTexts(label, text), into)
}

// anywhere runs fn with one name after another, each in its partition, until
// one is not store.ErrNotFound.
func (s *Service) anywhere(ctx context.Context, names []string, fn func(txn store.Txn, name string) error) (err error) {
	for _, name := range names {
		err = s.store.View(ctx, sealed.PartitionOf(name), func(txn store.Txn) error { return fn(txn, name) })
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return err
}

// Origin is which of the keys of a ring a session was opened with: what must be
// the same for as long as the session lives is made with that one. It is the
// key in use for a sid that is none.
func Origin(keys *keyring.Ring, sid threepid.SID) int {
	if len(sid) != sidSize {
		return 0
	}
	body, tag := string(sid[:sidSize-tagSize]), string(sid[sidSize-tagSize:])
	return max(0, slices.Index((&idMaker{keys: keys}).tags(body), tag))
}
