// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Submission is a token that came back. ClientSecret is nil where the caller
// cannot know it: the link in a message does not carry it.
type Submission struct {
	SID          threepid.SID
	Token        threepid.Token
	ClientSecret *threepid.ClientSecret
	// Discreet is that of [Request].
	Discreet bool
	// Client is where it came from, if that is known. It is counted, and not
	// stored.
	Client netip.Addr
}

// Confirmed is what the person who submitted a token may be shown.
type Confirmed struct {
	Purpose threepid.Purpose
	threepid.ThreePID
	NextLink string
	Language string
	Brand    string
	Proof    Proof
	State    State
	// Delivery is what became of the newest message, if that may be told.
	Delivery DeliveryState
	// Already says that nothing changed: the session was confirmed before.
	Already bool
	// Asked and Origin are when and where the newest message was asked for. A
	// session of an earlier version does not say.
	Asked  time.Time
	Origin provenance.Origin
}

func describe(session *Session, delivery DeliveryState) Confirmed {
	found := Confirmed{
		Purpose: session.Purpose, ThreePID: session.ThreePID(),
		NextLink: session.NextLink, Language: session.Language, Brand: session.Brand, Proof: session.Proof,
		State: session.State, Already: session.State != Pending, Delivery: delivery, Origin: session.Origin,
	}
	if asked := cmp.Or(session.Asked, session.Created); asked != 0 {
		found.Asked = time.UnixMilli(asked)
	}
	return found
}

// Submit confirms a session with a token. It counts as a guess before it is
// compared, and is given back when it was none, so that of concurrent guesses
// no more are compared than are allowed. A wrong token is a
// [*WrongTokenError].
func (s *Service) Submit(ctx context.Context, sub Submission) (Confirmed, error) {
	p, ok := s.ids.parse(sub.SID)
	if !ok {
		return Confirmed{}, ErrNoSession
	}
	right, err := s.Guess(ctx, sub.Client)
	if err != nil {
		return Confirmed{}, err
	}
	result, err := s.submit(ctx, p, sub)
	if !errors.Is(err, ErrTokenIncorrect) {
		right(ctx)
	}
	return result, err
}

// Inspect looks at a session without changing anything: it serves the page
// that asks the reader to confirm. A link token is checked, so that a reader
// with an old link learns it before pressing a button; it is too long to
// guess. A code is not, or the page would tell a guesser what is right
// without counting. Whoever has no token, but the client_secret, is told how it
// stands beside ErrTokenIncorrect: they wait for the message.
func (s *Service) Inspect(ctx context.Context, sub Submission) (Confirmed, error) {
	p, ok := s.ids.parse(sub.SID)
	if !ok {
		return Confirmed{}, ErrNoSession
	}
	var (
		session  *Session
		delivery DeliveryState
	)
	err := s.store.View(ctx, p, func(txn store.Txn) (err error) {
		if session, err = s.find(txn, sub); err != nil {
			return err
		}
		if !sub.Discreet {
			delivery, err = deliveryOf(txn, session)
		}
		return err
	})
	if err != nil {
		return Confirmed{}, err
	}
	now, refused := s.now(), session.secretlyRefused(sub.Discreet)
	found := describe(session, delivery)
	if refused {
		found.State, found.Already = Pending, false
	}
	switch {
	case session.Expired(now):
		return Confirmed{}, ErrExpired
	case session.State == Revoked && !refused:
		return Confirmed{}, ErrRevoked
	case session.Proof == ProofCode:
		return found, nil
	}
	err = session.match(s.keys.Hashes(tokenLabel, string(sub.SID), string(sub.Token)), now)
	switch {
	case errors.Is(err, ErrTokenIncorrect) && sub.ClientSecret != nil:
		return found, err
	case errors.Is(err, ErrExpired) && session.State != Pending:
		err = nil
	}
	if err == nil && refused {
		err = ErrRevoked
	}
	if err != nil {
		return Confirmed{}, err
	}
	return found, nil
}

// find loads the session of a submission. A sid of ours without a record was
// a session once: it has expired.
func (s *Service) find(txn store.Txn, sub Submission) (*Session, error) {
	session, err := s.session(txn, sub.SID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrExpired
	}
	if err != nil {
		return nil, err
	}
	if sub.ClientSecret != nil && !s.owns(session, *sub.ClientSecret) {
		return nil, ErrNoSession
	}
	return session, nil
}

func (s *Service) owns(session *Session, clientSecret threepid.ClientSecret) bool {
	return s.keys.Made(session.Secret, secretLabel, string(clientSecret))
}
