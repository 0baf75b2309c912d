// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// refusal is the secret of the link by which the owner of an address says "I
// did not ask for this". It is drawn from the key and the sid, 256 bits of
// them, and stored nowhere: so the link in every mail of a session works, not
// only in the last ones, and there is nothing to be stolen. It gives the power
// to revoke, and no other.
func (s *Service) refusal(sid threepid.SID) threepid.RefusalToken {
	return s.refusals(sid)[0]
}

// refusals are the secrets by every key, the one in use first: a link that was
// mailed before a change of keys works after it.
func (s *Service) refusals(sid threepid.SID) []threepid.RefusalToken {
	keys := s.keys.Fixed()
	as, bs := keys.Hashes("refusal", string(sid), "a"), keys.Hashes("refusal", string(sid), "b")
	tokens := make([]threepid.RefusalToken, len(as))
	for i := range as {
		tokens[i] = threepid.RefusalToken(base64.RawURLEncoding.EncodeToString(append(as[i][:], bs[i][:]...)))
	}
	return tokens
}

// refusable reports whether somebody holds the link of a session.
func (s *Service) refusable(sid threepid.SID, refusal threepid.RefusalToken) bool {
	if !s.Owns(sid) {
		return false
	}
	right := 0
	for _, want := range s.refusals(sid) {
		right |= subtle.ConstantTimeCompare([]byte(refusal), []byte(want))
	}
	return right == 1
}

// InspectRefusal looks at what a refusal would revoke, and changes nothing: it
// serves the page behind the link. ErrNoSession is all that is said of a wrong
// link, and of a session that is gone.
func (s *Service) InspectRefusal(ctx context.Context, sid threepid.SID, refusal threepid.RefusalToken) (Confirmed, error) {
	if !s.refusable(sid, refusal) {
		return Confirmed{}, ErrNoSession
	}
	return s.Recall(ctx, sid)
}

// Recall tells how a session stands to somebody who has shown its token, or its
// refusal, before.
func (s *Service) Recall(ctx context.Context, sid threepid.SID) (Confirmed, error) {
	session, delivery, err := s.look(ctx, sid)
	if err != nil {
		return Confirmed{}, err
	}
	return describe(session, delivery), nil
}

// Refuse revokes a session in the name of the address's owner, withdraws its
// messages that are not being sent yet, and lets the address cool down: for the network
// that has asked, or, if the owner wishes so, for everybody but the owner. It may
// be repeated. A session that was used already cannot be undone here: then the
// rest is done and the answer is ErrConsumed.
func (s *Service) Refuse(ctx context.Context, sid threepid.SID, refusal threepid.RefusalToken, everybody bool) error {
	if !s.refusable(sid, refusal) {
		return ErrNoSession
	}
	session, verdict, err := s.revoke(ctx, sid, func(session *Session) error { return session.refuse(s.now()) })
	if err != nil {
		return err
	}
	// Should this not be reached, the next click does it: to the same end.
	until := time.UnixMilli(session.Refused).Add(s.cfg.Cooldown)
	by := session.By
	if everybody {
		by = 0
	}
	if err := s.cool(ctx, session.ThreePID(), by, until); err != nil {
		return err
	}
	return verdict
}

// RevokeSession ends a session, and withdraws its messages that are not being
// sent yet. It may be repeated; a session that was used is ErrConsumed.
func (s *Service) RevokeSession(ctx context.Context, sid threepid.SID) error {
	_, verdict, err := s.revoke(ctx, sid, func(session *Session) error {
		session.expireClaim(s.now())
		if session.State == Consumed {
			return ErrConsumed
		}
		session.revoke()
		return nil
	})
	return errors.Join(err, verdict)
}

// revoke lets change revoke a session, and withdraws what waits to be sent in
// the same transaction. The verdict of change is returned apart from the error
// of the store: what it did is written either way.
func (s *Service) revoke(ctx context.Context, sid threepid.SID, change func(*Session) error) (after *Session, verdict, err error) {
	var before State
	err = s.change(ctx, sid, func(txn store.Txn, session *Session) error {
		after, before = session, session.State
		verdict = change(session)
		if err := withdraw(txn, session); err != nil {
			return err
		}
		return s.putSession(txn, session)
	})
	if err != nil {
		return nil, nil, err
	}
	if after.State == Revoked && before != Revoked {
		s.cfg.Observer.Transition(after.Purpose, after.Medium, Revoked.String())
	}
	return after, verdict, nil
}

// change runs fn on a session, within a transaction that may be run again.
func (s *Service) change(ctx context.Context, sid threepid.SID, fn func(store.Txn, *Session) error) error {
	p, ok := s.ids.parse(sid)
	if !ok {
		return ErrNoSession
	}
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		session, err := s.session(txn, sid)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoSession
		}
		if err != nil {
			return err
		}
		return fn(txn, session)
	})
}

// withdraw deletes the messages of a session that are in the outbox. Who is
// sending one at this moment finds it gone afterwards.
func withdraw(txn store.Txn, session *Session) error {
	for n := 1; n <= session.Sends; n++ {
		key, _ := OutboxKey(messageID(session.SID, n))
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
		if err := note(txn, session.SID, n, Failed, time.UnixMilli(session.Until).Add(time.Minute)); err != nil {
			return err
		}
	}
	return nil
}

// cool lets no message go to a mailbox until then that is asked for from a network, or,
// if that is zero, by anybody.
func (s *limiter) cool(ctx context.Context, id threepid.ThreePID, by uint64, until time.Time) error {
	return s.store.Update(ctx, limitsPartition, func(txn store.Txn) error {
		if by != 0 {
			return s.changeLetters(txn, s.mailboxNames(mailboxOf(id)), func(l *ratelimit.Letters) { l.Refuse(by, until) })
		}
		wait, err := s.cooling(txn, id, nil)
		if err != nil || !until.After(s.now().Add(wait)) {
			return err // another refusal reaches further
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(until.UnixMilli()))
		return kindCool.Set(txn, kindCool.Key(s.coolNames(id)[0]), value, until)
	})
}

// cooling is how long a mailbox still cools down for whoever asks from a network; by are
// its names.
func (s *limiter) cooling(txn store.Txn, id threepid.ThreePID, by []uint64) (longest time.Duration, err error) {
	for _, name := range s.coolNames(id) {
		raw, err := txn.Get(kindCool.Key(name))
		if errors.Is(err, store.ErrNotFound) || (err == nil && len(raw) != 8) {
			continue
		}
		if err != nil {
			return 0, err
		}
		longest = max(longest, time.UnixMilli(int64(binary.BigEndian.Uint64(raw))).Sub(s.now()))
	}
	if len(by) == 0 {
		return longest, nil
	}
	letters, err := s.letters(txn, s.mailboxNames(mailboxOf(id)))
	return max(longest, letters.Refused(by, s.now())), err
}
