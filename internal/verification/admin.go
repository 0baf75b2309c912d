// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Admin is what the operator may see of a session: no secret, and the address
// under today's pseudonym only.
type Admin struct {
	SID       string
	Purpose   Purpose
	Medium    Medium
	Pseudonym string
	// State is the state at this moment; of an expired session, the last one.
	State    State
	Delivery DeliveryState
	// Created is zero for a session of an earlier version.
	Created  time.Time
	Until    time.Time
	Sends    int
	Tries    int
	Language string
	Brand    string
	// Decoy says that the session looks like any other to its client, and that
	// nobody has a token for it: the homeserver has refused the request.
	Decoy bool
	// Held says that its message waits until a registration has come so far.
	Held bool
	// Asked is when the newest message was asked for.
	Asked time.Time
}

func (s *Service) admin(session *Session, delivery DeliveryState) Admin {
	now := s.now()
	session.expireClaim(now)
	a := Admin{
		SID: session.SID, Purpose: session.Purpose, Medium: session.Medium,
		Pseudonym: s.keys.Pseudonym(now, session.Address),
		State:     session.State, Delivery: delivery, Until: time.UnixMilli(session.Until),
		Sends: session.Sends, Tries: session.Tries, Language: session.Language, Brand: session.Brand,
		Decoy: session.Decoy, Held: session.Sends == 0,
	}
	if session.Created != 0 {
		a.Created = time.UnixMilli(session.Created)
	}
	a.Asked = a.Created
	if session.Asked != 0 {
		a.Asked = time.UnixMilli(session.Asked)
	}
	return a
}

// look reads a session and what became of its newest message.
func (s *Service) look(ctx context.Context, sid string) (session *Session, delivery DeliveryState, err error) {
	p, ok := s.ids.parse(sid)
	if !ok {
		return nil, Unnoted, ErrNoSession
	}
	err = s.store.View(ctx, p, func(txn store.Txn) (err error) {
		if session, err = s.session(txn, sid); err != nil {
			return err
		}
		delivery, err = deliveryOf(txn, session)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNoSession
	}
	return session, delivery, err
}

// Describe tells the operator about one session.
func (s *Service) Describe(ctx context.Context, sid string) (Admin, error) {
	session, delivery, err := s.look(ctx, sid)
	if err != nil {
		return Admin{}, err
	}
	return s.admin(session, delivery), nil
}

// FindByPseudonym finds the sessions of whom a log line of today or yesterday
// speaks, newest first. It reads all sessions: a pseudonym cannot be looked up.
func (s *Service) FindByPseudonym(ctx context.Context, pseudonym string) ([]Admin, error) {
	now := s.now()
	days := []time.Time{now, now.AddDate(0, 0, -1)}
	return s.search(ctx, func(session *Session) bool {
		return slices.ContainsFunc(days, func(day time.Time) bool {
			return slices.Contains(s.keys.Pseudonyms(day, session.Address), pseudonym)
		})
	})
}

// FindAll finds all sessions, newest first.
func (s *Service) FindAll(ctx context.Context) ([]Admin, error) {
	return s.search(ctx, func(*Session) bool { return true })
}

// search describes the sessions that match, newest first.
func (s *Service) search(ctx context.Context, match func(*Session) bool) (found []Admin, err error) {
	for n := range sealed.Partitions {
		sessions, err := s.sessions(ctx, sealed.PartitionName(n), match)
		if err != nil {
			return nil, err
		}
		for _, session := range sessions {
			a, err := s.Describe(ctx, session.SID)
			if errors.Is(err, ErrNoSession) {
				continue // it has ended meanwhile
			}
			if err != nil {
				return nil, err
			}
			found = append(found, a)
		}
	}
	slices.SortStableFunc(found, func(a, b Admin) int { return b.Created.Compare(a.Created) })
	return found, nil
}

// sessions returns those of a partition that match. One that was sealed with a
// key we no longer have is nobody's.
func (s *Service) sessions(ctx context.Context, p store.Partition, match func(*Session) bool) ([]*Session, error) {
	var found []*Session
	err := kindSession.Scan(ctx, s.store, p, func(key string, value []byte) (bool, error) {
		var session Session
		if kindSession.Open(s.keys, key, value, &session) == nil && match(&session) {
			found = append(found, &session)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("search sessions: %w", err)
	}
	return found, nil
}

// Resend sends another message for a session that is still open. It counts
// against the address and the budget like a request of its client, but leaves the client's
// send_attempt alone, so that the client's next request sends again. A decoy
// stays one: only the homeserver can decide that its address may have a token.
func (s *Service) Resend(ctx context.Context, sid string) error {
	session, _, err := s.look(ctx, sid)
	if err != nil {
		return err
	}
	session.expireClaim(s.now())
	if err := session.open(s.now()); err != nil {
		return err
	}
	if err := s.admitAgain(ctx, session); err != nil {
		return err
	}
	p, _ := s.ids.parse(sid)
	request := openingRequest{Purpose: session.Purpose, Medium: session.Medium, Proof: session.Proof}
	o, err := s.newOpening(p, request)
	if err != nil {
		s.unsent(ctx, request)
		return err
	}
	o.resend = true
	if session.Decoy {
		if err := o.disguise(); err != nil {
			s.unsent(ctx, request)
			return err
		}
	}
	err = s.change(ctx, sid, func(txn store.Txn, session *Session) error {
		now := s.now()
		session.expireClaim(now)
		if err := session.open(now); err != nil {
			return err
		}
		return o.send(txn, session, now)
	})
	if err != nil {
		s.unsent(ctx, request)
		return err
	}
	o.announce()
	return nil
}

// open returns why a session cannot go on, if it cannot.
func (s *Session) open(now time.Time) error {
	switch {
	case s.Expired(now):
		return ErrExpired
	case s.State == Revoked:
		return ErrRevoked
	case s.State == Consumed:
		return ErrConsumed
	}
	return nil
}
