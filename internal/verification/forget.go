// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Forgotten is how many entries of each kind were erased, by the names of the
// kinds; see [kindNames].
type Forgotten map[string]int

// Total is how many entries that are.
func (f Forgotten) Total() (n int) {
	for _, of := range f {
		n += of
	}
	return n
}

// kindNames are the kinds of entries that can tell of an address.
var kindNames = map[string]string{
	kindSession: "sessions", kindIndex: "session_index", kindMessage: "messages", kindState: "deliveries", kindReply: "replies",
	kindAlias: "aliases", kindNonce: "token_requests", kindForeign: "homeserver_sessions", kindBinding: "bindings",
	kindLimit: "limits", kindCool: "cooldowns", kindProgress: "held_requests", kindExplained: "explanations",
	kindOpen: "open_requests", kindLanguage: "languages",
}

// Forget erases everything that is stored about an address: its sessions with
// all that leads to them, messages that wait, token requests that wait for a
// homeserver, limits, the cool-down, and bindings. It returns how many entries
// it has erased, also with an error. What is asked for while it runs may be left;
// what was sealed with a key that is gone cannot be read, by it or by anybody.
func (s *Service) Forget(ctx context.Context, medium Medium, address string) (Forgotten, error) {
	gone := Forgotten{}
	for _, name := range kindNames {
		gone[name] = 0
	}
	for i := range Partitions {
		p := PartitionName(i)
		keys, err := s.traces(ctx, p, medium, address)
		if err != nil {
			return gone, err
		}
		if err := s.erase(ctx, p, keys, gone); err != nil {
			return gone, err
		}
	}
	var spent []string
	for _, name := range s.mailboxNames(medium, address) {
		spent = append(spent, kindLimit+name)
	}
	for _, name := range s.addressNames(medium, address) {
		spent = append(spent, kindCool+name)
	}
	for _, purpose := range []Purpose{Register, Password, Add} {
		for _, name := range s.explainedNames(purpose, medium, address) {
			spent = append(spent, kindExplained+name)
		}
		for _, name := range s.codeNames(purpose, medium, address) {
			spent = append(spent, kindLimit+name)
		}
		for _, name := range s.openNames(purpose, medium, address) {
			spent = append(spent, kindOpen+name)
		}
	}
	for _, notice := range Notices {
		if medium != Email {
			break // there are none
		}
		for _, name := range s.noticeMailbox(notice, address).names {
			spent = append(spent, kindLimit+name)
		}
	}
	for _, name := range s.languageNames(medium, address) {
		if err := s.erase(ctx, s.shard(name), []string{kindLanguage + name}, gone); err != nil {
			return gone, err
		}
	}
	return gone, s.erase(ctx, limitsPartition, spent, gone)
}

// traces are the keys of one partition that an address is found under.
// Everything about a session is in its partition, under its sid or leading to
// it.
func (s *Service) traces(ctx context.Context, p store.Partition, medium Medium, address string) ([]string, error) {
	mine := func(m Medium, a string) bool { return m == medium && a == address }
	sids := map[string]bool{}
	var keys []string
	each := func(kind string, found func(key string, value []byte) bool) error {
		err := s.store.Scan(ctx, p, kind, func(key string, value []byte) (bool, error) {
			if found(key, value) {
				keys = append(keys, key)
			}
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("search partition: %w", err)
		}
		return nil
	}
	err := each(kindSession, func(key string, sealed []byte) bool {
		var session Session
		ok := s.recs.open(key, sealed, &session) == nil && mine(session.Medium, session.Address)
		if ok {
			sids[session.SID] = true
		}
		return ok
	})
	return keys, errors.Join(err,
		each(kindIndex, func(_ string, sid []byte) bool { return sids[string(sid)] }),
		each(kindMessage, func(key string, _ []byte) bool {
			sid, _, _ := strings.Cut(strings.TrimPrefix(key, kindMessage), ".")
			return sids[string(p)+sid]
		}),
		each(kindState, func(key string, _ []byte) bool { return sids[string(p)+strings.TrimPrefix(key, kindState)] }),
		each(kindReply, func(key string, _ []byte) bool { return sids[string(p)+strings.TrimPrefix(key, kindReply)] }),
		each(kindAlias, func(key string, sealed []byte) bool {
			var rec aliasRecord
			return s.recs.open(key, sealed, &rec) == nil && sids[rec.SID]
		}),
		each(kindNonce, func(key string, sealed []byte) bool {
			var rec nonceRecord
			return s.recs.open(key, sealed, &rec) == nil && mine(rec.Request.Medium, rec.Request.Address)
		}),
		each(kindForeign, func(key string, sealed []byte) bool {
			var rec foreignRecord
			return s.recs.open(key, sealed, &rec) == nil && mine(rec.Medium, rec.Address)
		}),
		each(kindProgress, func(key string, sealed []byte) bool {
			var rec progressRecord
			return s.recs.open(key, sealed, &rec) == nil && rec.Held != nil && mine(rec.Held.Medium, rec.Held.Address)
		}),
		each(kindBinding, func(key string, sealed []byte) bool {
			var b Binding
			return s.recs.open(key, sealed, &b) == nil && (mine(b.Medium, b.Address) || mine(b.Medium, b.Validated))
		}),
	)
}

// eraseAtOnce bounds a transaction.
const eraseAtOnce = 500

// erase deletes keys, and adds up what there was of each kind.
func (s *Service) erase(ctx context.Context, p store.Partition, keys []string, gone Forgotten) error {
	for len(keys) > 0 {
		some := keys[:min(len(keys), eraseAtOnce)]
		keys = keys[len(some):]
		var erased []string
		err := s.store.Update(ctx, p, func(txn store.Txn) error {
			erased = erased[:0]
			for _, key := range some {
				_, err := txn.Get(key)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if err := txn.Delete(key); err != nil {
					return err
				}
				erased = append(erased, key)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("erase entries: %w", err)
		}
		for _, key := range erased {
			gone[kindNames[kindOf(key)+"/"]]++
		}
	}
	return nil
}
