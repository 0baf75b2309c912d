// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
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
		sealed.Read(func(q *sealed.Query, rec *aliasRecord) bool {
			return q.Follows(string(rec.SID)) || q.Medium == threepid.Email && address.IsSpelling(rec.Spelling, q.Address)
		}))
	kindNonce = sealed.Declare("token_requests", "n/", sealed.Sharded, sealed.Expires, sealed.Dropped,
		sealed.Read(func(q *sealed.Query, rec *nonceRecord) bool { return q.Is(rec.Request.ThreePID()) }))
	// sid of the homeserver's own session → nonce
	kindForeign = sealed.Declare("homeserver_sessions", "h/", sealed.Sharded, sealed.Expires, sealed.Kept,
		sealed.Read(func(q *sealed.Query, rec *foreignRecord) bool { return q.Is(rec.ThreePID()) }))
	// (user, address, identity server)
	kindBinding = sealed.Declare("bindings", "b/", sealed.Sharded, sealed.Moved[*Service](), sealed.Kept,
		sealed.Read(func(q *sealed.Query, b *Binding) bool {
			return q.Is(b.ThreePID()) || q.Is(threepid.ThreePID{Medium: b.Medium, Address: b.Validated})
		}))
	// How far a registration has come, and whose it is.
	kindProgress = sealed.Declare("held_requests", "g/", sealed.Together, sealed.Expires, sealed.Dropped,
		sealed.Read(func(q *sealed.Query, rec *progressRecord) bool {
			return rec.Held != nil && q.Is(rec.Held.ThreePID())
		}))
	kindRegistration = sealed.Declare("registrations", "t/", sealed.Together, sealed.Expires, sealed.Dropped,
		sealed.Never("it has the homeserver's name of a registration, and no address"))
	kindLimit = sealed.Declare("limits", "l/", sealed.Together, sealed.Unsealed, sealed.Kept, named(naming.limits))
	// The messages that were asked for to one mailbox, and from where an address was proven.
	kindLetters = sealed.Declare("mailboxes", "m/", sealed.Together, sealed.Expires, sealed.Kept, named(ofMailbox(naming.mailboxNames)))
	kindPlaces  = sealed.Declare("places", "k/", sealed.Together, sealed.Left, sealed.Kept, named(naming.addressNames))
	// An address whose owner wants no more messages.
	kindCool = sealed.Declare("cooldowns", "c/", sealed.Together, sealed.Unsealed, sealed.Kept, named(naming.coolNames))
	// Whether the owner of an address was told why there is no token.
	kindExplained = sealed.Declare("explanations", "e/", sealed.Together, sealed.Expires, sealed.Kept, named(each(explainedOf)))
	// The newest requests for an address, and the one that its owner has confirmed in. A
	// language is remembered for a year, for which no key should have to be kept.
	kindOpen     = sealed.Declare("open_requests", "q/", sealed.Together, sealed.Expires, sealed.Dropped, named(each(naming.openNames)))
	kindLanguage = sealed.Declare("languages", "w/", sealed.Sharded, sealed.Left, sealed.Kept, named(naming.languageNames))
)

// ofAddress finds a session, by which others are found.
func ofAddress(q *sealed.Query, s *Session) bool {
	mine := q.Is(s.ThreePID())
	if mine {
		q.Follow(string(s.SID))
	}
	return mine
}

// ofSession finds what has the name of a sid, or of one of its messages.
func ofSession(q *sealed.Query, e sealed.Entry) bool {
	sid, _, _ := strings.Cut(e.Name, ".")
	return q.Follows(string(e.Partition) + sid)
}

// named finds what has the name of an address.
func named(names func(naming, threepid.ThreePID) []string) sealed.Forget {
	return sealed.Named(func(q *sealed.Query) ([]string, error) {
		return names(naming{q.Keys}, q.ThreePID), nil
	})
}

// each are the names for whatever a token is asked for.
func each(names func(naming, threepid.Purpose, threepid.ThreePID) []string) func(naming, threepid.ThreePID) []string {
	return func(n naming, id threepid.ThreePID) (all []string) {
		for _, purpose := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
			all = append(all, names(n, purpose, id)...)
		}
		return all
	}
}

// naming makes the names under which things of an address are found, by every key.
type naming struct{ keys *keyring.Ring }

// limits are the names of all that is counted for an address.
func (n naming) limits(id threepid.ThreePID) []string {
	names := append(n.mailboxNames(mailboxOf(id)), each(naming.codeNames)(n, id)...)
	for _, notice := range Notices {
		if id.Medium != threepid.Email {
			break // there are none
		}
		names = append(names, n.noticeNames(notice, mailboxOf(id))...)
	}
	return names
}

func sessionKey(sid threepid.SID) string { return kindSession.Key(string(sid[partitionSize:])) }

func (s *Service) session(txn store.Txn, sid threepid.SID) (*Session, error) {
	var session Session
	if err := kindSession.Get(txn, s.keys, sessionKey(sid), &session); err != nil {
		return nil, err
	}
	return &session, nil
}

func (s *Service) putSession(txn store.Txn, session *Session) error {
	return kindSession.Put(txn, s.keys, sessionKey(session.SID), session, session.gone())
}

// gone is when the record ends: a little beyond the session, so that the reader of a late
// click is told "expired" by the session itself. What tells of an address and is found by
// the session alone must not live longer.
func (s *Session) gone() time.Time { return time.UnixMilli(s.Until).Add(time.Minute) }
