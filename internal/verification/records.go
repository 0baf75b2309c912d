// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// The kinds of entries. Versions before 2026-12 had a "u", which ends by itself. What
// follows a session is declared after it, so that it is forgotten with it.
var (
	kindSession = sealed.Declare("sessions", "s/", sealed.Sharded, sealed.Expires, sealed.Dropped, sealed.Read(ofAddress))
	// (purpose, client_secret, address) → sid
	kindIndex = sealed.Declare("session_index", "i/", sealed.Sharded, sealed.Unsealed, sealed.Dropped,
		sealed.Seen(func(q *sealed.Query, e sealed.Entry) bool { return q.Follows(string(e.Value)) }))
	// OutboxKind are the messages that wait. What is in one is known to the outbox alone.
	OutboxKind = sealed.Declare("messages", "o/", sealed.Sharded, sealed.Expires, sealed.Dropped, sealed.Seen(ofSession))
	// What became of a session's newest message.
	kindState = sealed.Declare("deliveries", "d/", sealed.Sharded, sealed.Unsealed, sealed.Dropped, sealed.Seen(ofSession))
	// What was said of a session's messages when one was not taken.
	kindReply = sealed.Declare("replies", "r/", sealed.Sharded, sealed.Expires, sealed.Dropped, sealed.Seen(ofSession))
	kindAlias = sealed.Declare("aliases", "a/", sealed.Sharded, sealed.Expires, sealed.Dropped,
		sealed.Read(func(q *sealed.Query, rec *aliasRecord) bool { return q.Follows(rec.SID) }))
	kindNonce = sealed.Declare("token_requests", "n/", sealed.Sharded, sealed.Expires, sealed.Dropped,
		sealed.Read(func(q *sealed.Query, rec *nonceRecord) bool { return is(q, rec.Request.Medium, rec.Request.Address) }))
	// sid of the homeserver's own session → nonce
	kindForeign = sealed.Declare("homeserver_sessions", "h/", sealed.Sharded, sealed.Expires, sealed.Kept,
		sealed.Read(func(q *sealed.Query, rec *foreignRecord) bool { return is(q, rec.Medium, rec.Address) }))
	// (user, address, identity server)
	kindBinding = sealed.Declare("bindings", "b/", sealed.Sharded, sealed.Moved[*Service](), sealed.Kept,
		sealed.Read(func(q *sealed.Query, b *Binding) bool {
			return is(q, b.Medium, b.Address) || is(q, b.Medium, b.Validated)
		}))
	// How far a registration has come, and whose it is.
	kindProgress = sealed.Declare("held_requests", "g/", sealed.Together, sealed.Expires, sealed.Dropped,
		sealed.Read(func(q *sealed.Query, rec *progressRecord) bool {
			return rec.Held != nil && is(q, rec.Held.Medium, rec.Held.Address)
		}))
	kindRegistration = sealed.Declare("registrations", "t/", sealed.Together, sealed.Expires, sealed.Dropped,
		sealed.Never("it has the homeserver's name of a registration, and no address"))
	kindLimit = sealed.Declare("limits", "l/", sealed.Together, sealed.Unsealed, sealed.Kept, named(naming.limits))
	// The messages that were asked for to one mailbox, and from where an address was proven.
	kindLetters = sealed.Declare("mailboxes", "m/", sealed.Together, sealed.Expires, sealed.Kept, named(naming.mailboxNames))
	kindPlaces  = sealed.Declare("places", "k/", sealed.Together, sealed.Left, sealed.Kept, named(naming.addressNames))
	// An address whose owner wants no more messages.
	kindCool = sealed.Declare("cooldowns", "c/", sealed.Together, sealed.Unsealed, sealed.Kept, named(naming.coolNames))
	// Whether the owner of an address was told why there is no token.
	kindExplained = sealed.Declare("explanations", "e/", sealed.Together, sealed.Expires, sealed.Kept, named(each(naming.explainedNames)))
	// The newest requests for an address, and the one that its owner has confirmed in. A
	// language is remembered for a year, for which no key should have to be kept.
	kindOpen     = sealed.Declare("open_requests", "q/", sealed.Together, sealed.Expires, sealed.Dropped, named(each(naming.openNames)))
	kindLanguage = sealed.Declare("languages", "w/", sealed.Sharded, sealed.Left, sealed.Kept, named(naming.languageNames))
)

func is(q *sealed.Query, medium Medium, addr string) bool { return q.Is(string(medium), addr) }

// ofAddress finds a session, by which others are found.
func ofAddress(q *sealed.Query, s *Session) bool {
	mine := is(q, s.Medium, s.Address)
	if mine {
		q.Follow(s.SID)
	}
	return mine
}

// ofSession finds what has the name of a sid, or of one of its messages.
func ofSession(q *sealed.Query, e sealed.Entry) bool {
	sid, _, _ := strings.Cut(e.Name, ".")
	return q.Follows(string(e.Partition) + sid)
}

// named finds what has the name of an address.
func named(names func(naming, Medium, string) []string) sealed.Forget {
	return sealed.Named(func(q *sealed.Query) ([]string, error) {
		return names(naming{q.Keys}, Medium(q.Medium), q.Address), nil
	})
}

// each are the names for whatever a token is asked for.
func each(names func(naming, Purpose, Medium, string) []string) func(naming, Medium, string) []string {
	return func(n naming, medium Medium, addr string) (all []string) {
		for _, purpose := range []Purpose{Register, Password, Add} {
			all = append(all, names(n, purpose, medium, addr)...)
		}
		return all
	}
}

// naming makes the names under which things of an address are found, by every key.
type naming struct{ keys *keyring.Ring }

// limits are the names of all that is counted for an address.
func (n naming) limits(medium Medium, addr string) []string {
	names := append(n.mailboxNames(medium, addr), each(naming.codeNames)(n, medium, addr)...)
	for _, notice := range Notices {
		if medium != Email {
			break // there are none
		}
		names = append(names, n.noticeNames(notice, addr)...)
	}
	return names
}

func sessionKey(sid string) string { return kindSession.Key(sid[partitionSize:]) }

func (s *Service) session(txn store.Txn, sid string) (*Session, error) {
	var session Session
	if err := kindSession.Get(txn, s.keys, sessionKey(sid), &session); err != nil {
		return nil, err
	}
	return &session, nil
}

// putSession keeps the record a little beyond its end, so that the reader of
// a late click is told "expired" by the session itself.
func (s *Service) putSession(txn store.Txn, session *Session) error {
	return kindSession.Put(txn, s.keys, sessionKey(session.SID), session, time.UnixMilli(session.Until).Add(time.Minute))
}
