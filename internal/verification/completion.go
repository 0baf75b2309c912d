// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// aliasRecord leads from an alias to the claimed session.
type aliasRecord struct {
	SID    threepid.SID `cbor:"1,keyasint"`
	Secret hash         `cbor:"2,keyasint"`
	Claim  hash         `cbor:"3,keyasint"`
	// Spelling is what the homeserver is told, if it knows the address by another
	// spelling than ours; see Spell.
	Spelling string `cbor:"4,keyasint,omitempty"`
}

// Alias is the pair that the homeserver is shown instead of the client's sid
// and client_secret. It proves something only while the request that carries
// it is in flight, so credentials that reach the homeserver around this
// server, or a second time, prove nothing.
type Alias struct {
	SID          threepid.AliasSID
	ClientSecret threepid.AliasSecret
	// Live says that the homeserver will be told "validated". An alias that
	// is not live exists so that the client gets the homeserver's own answer
	// to credentials that are not validated (yet).
	Live bool
	// Replayed says that this session was consumed by this very UIA session of
	// a registration: the client repeats a stage that the homeserver has.
	Replayed bool
	// ThreePID is what a live alias proves.
	threepid.ThreePID
	// Typed is how the address was typed, see Request.
	Typed string
	// Unasked is set by Finish: the alias was live for as long as the request
	// was in flight, and the homeserver has not asked what it proves.
	Unasked bool

	sid     threepid.SID
	client  netip.Addr
	purpose threepid.Purpose
	claim   hash
	uia     hash
}

func equal(a, b hash) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

func aliasKey(s *Service, aliasSID threepid.AliasSID) string {
	return kindAlias.Key(s.keys.HashText(aliasLabel, string(aliasSID)))
}

// aliasLabel and uiaLabel keep the hashes of aliases and UIA sessions apart from
// others.
const (
	aliasLabel = "alias"
	uiaLabel   = "uia session"
)

// Completion is a request that uses a session: the client's credentials, the
// purpose of the path they came by, and the UIA session, if any.
type Completion struct {
	SID          threepid.SID
	ClientSecret threepid.ClientSecret
	Purpose      threepid.Purpose
	UIASession   threepid.UIASession
	// Client is from where it comes.
	Client netip.Addr
}

// Claim mints the alias for a completion. Whatever is wrong with the session
// (unknown secret, another purpose, not validated, consumed, in use by another
// request) the alias is simply not live; only a failing store is an error.
func (s *Service) Claim(ctx context.Context, c Completion) (*Alias, error) {
	p, ok := s.ids.parse(c.SID)
	if !ok {
		return nil, ErrNoSession
	}
	a, err := s.mint(p, c)
	if err != nil {
		return nil, err
	}
	usable, err := s.usable(ctx, p, c, a)
	if err != nil || !usable {
		return a, err
	}
	err = s.store.Update(ctx, p, func(txn store.Txn) error {
		a.Live = false
		session, err := s.session(txn, c.SID)
		if err != nil {
			return err
		}
		if err := session.claim(a.claim, c.Purpose, s.now(), s.cfg.InFlight); err != nil {
			return nil // another request was faster
		}
		rec := aliasRecord{SID: c.SID, Secret: s.keys.Hash(secretLabel, string(a.ClientSecret)), Claim: a.claim}
		if err := kindAlias.Put(txn, s.keys, aliasKey(s, a.SID), rec, s.inFlightEnd()); err != nil {
			return err
		}
		a.Live = true
		a.Medium, a.Address, a.Typed = session.Medium, session.Address, session.Typed
		return s.putSession(txn, session)
	})
	if errors.Is(err, store.ErrNotFound) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (s *Service) mint(p store.Partition, c Completion) (*Alias, error) {
	aliasSID, err := s.ids.in(p)
	if err != nil {
		return nil, err
	}
	secret, err := s.ids.text(32)
	if err != nil {
		return nil, err
	}
	a := &Alias{SID: threepid.AliasSID(aliasSID), ClientSecret: threepid.AliasSecret(secret), sid: c.SID, purpose: c.Purpose, client: c.Client}
	a.claim = s.keys.Hash("claim", aliasSID, secret)
	if c.UIASession != "" {
		a.uia = s.keys.Hash(uiaLabel, string(c.UIASession))
	}
	return a, nil
}

// usable answers the common case, a client that polls before the click,
// without a write.
func (s *Service) usable(ctx context.Context, p store.Partition, c Completion, a *Alias) (bool, error) {
	ok := false
	err := s.store.View(ctx, p, func(txn store.Txn) error {
		session, err := s.session(txn, c.SID)
		if err != nil {
			return err
		}
		if !s.owns(session, c.ClientSecret) || session.Purpose != c.Purpose {
			return nil
		}
		a.Replayed = s.keys.Made(session.ConsumedIn, uiaLabel, string(c.UIASession))
		ok = session.State == Validated && !session.Expired(s.now())
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return ok, err
}

// Validated is the homeserver asking what an alias proves. Every refusal is
// ErrNotValidated.
func (s *Service) Validated(ctx context.Context, aliasSID threepid.AliasSID, aliasSecret threepid.AliasSecret) (Proven, error) {
	p, ok := sealed.PartitionIn(aliasSID)
	if !ok {
		return Proven{}, ErrNotValidated
	}
	var proof Proven
	err := s.store.Update(ctx, p, func(txn store.Txn) error {
		proof = Proven{}
		var rec aliasRecord
		if _, err := s.recall(txn, kindAlias, aliasLabel, string(aliasSID), &rec); err != nil {
			return err
		}
		if !s.keys.Made(rec.Secret, secretLabel, string(aliasSecret)) {
			return ErrNotValidated
		}
		session, err := s.session(txn, rec.SID)
		if err != nil {
			return err
		}
		if err := session.answer(rec.Claim, s.now()); err != nil {
			return err
		}
		proof = Proven{ThreePID: threepid.ThreePID{Medium: session.Medium, Address: cmp.Or(rec.Spelling, session.Address)}, ValidatedAt: time.UnixMilli(session.ValidatedAt)}
		return s.putSession(txn, session)
	})
	if errors.Is(err, store.ErrNotFound) {
		return Proven{}, ErrNotValidated
	}
	if err != nil {
		return Proven{}, err // what is not committed proves nothing
	}
	return proof, nil
}

// Finish ends the flight of an alias: it proves nothing from here on, and a
// session that was accepted is consumed.
func (s *Service) Finish(ctx context.Context, a *Alias, outcome Outcome) error {
	if !a.Live {
		return nil
	}
	p, _ := sealed.PartitionIn(a.SID)
	consumed, unasked := false, false
	err := s.store.Update(ctx, p, func(txn store.Txn) error {
		consumed, unasked = false, false
		for _, name := range s.keys.HashTexts(aliasLabel, string(a.SID)) {
			if err := txn.Delete(kindAlias.Key(name)); err != nil {
				return err
			}
		}
		session, err := s.session(txn, a.sid)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before := session.State
		unasked = session.unasked(a.claim, s.now())
		session.finish(a.claim, outcome, a.uia)
		consumed = session.State == Consumed && before != Consumed
		return s.putSession(txn, session)
	})
	a.Unasked = err == nil && unasked
	if err == nil && consumed {
		s.cfg.Observer.Transition(a.purpose, a.Medium, Consumed.String())
		if outcome == Completed {
			s.used(ctx, a)
		}
	}
	return err
}

// DeadAlias is an alias that proves nothing: credentials that name us, and
// that we do not know, get the homeserver's own refusal.
func (s *Service) DeadAlias() *Alias {
	// Any value will do that was never minted; this one is not even stored.
	return &Alias{SID: "none", ClientSecret: "none"}
}

// Ready reports whether a completion would prove something at this moment, and
// changes nothing. ErrNoSession means that the sid is not one of ours.
func (s *Service) Ready(ctx context.Context, c Completion) (bool, error) {
	p, ok := s.ids.parse(c.SID)
	if !ok {
		return false, ErrNoSession
	}
	return s.usable(ctx, p, c, new(Alias))
}
