// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// nonceRecord is a token request that waits for the homeserver's decision.
type nonceRecord struct {
	Request openingRequest `cbor:"1,keyasint"`
	// SID is set when the homeserver called back.
	SID  string `cbor:"2,keyasint,omitempty"`
	Sent bool   `cbor:"3,keyasint,omitempty"`
}

// foreignRecord is a session that the homeserver opened for itself, under a
// nonce as its client_secret.
type foreignRecord struct {
	Nonce   string  `cbor:"1,keyasint"`
	Secret  hash    `cbor:"2,keyasint"`
	Purpose Purpose `cbor:"3,keyasint"`
}

func nonceKey(s *Service, nonce string) string {
	return kindNonce + s.keys.HashText("nonce", nonce)
}

// Await notes a token request and returns the nonce that the homeserver is
// shown as client_secret. No lock is held while it decides.
func (s *Service) Await(ctx context.Context, req Request) (nonce string, err error) {
	rec := nonceRecord{Request: s.openingRequest(req, s.index(req))}
	counted, err := s.admit(ctx, req, &rec.Request)
	if err != nil {
		return "", err
	}
	if due, err := s.due(ctx, rec.Request); err == nil && !due && !rec.Request.Held && !rec.Request.RepeatOnly {
		// It repeats another, as far as is known now. If the homeserver takes
		// so long that it does not, it has cost too little.
		s.repeated(ctx, counted)
	}
	p := s.shard(rec.Request.Index)
	nonce, err = s.ids.in(p)
	if err == nil {
		err = s.store.Update(ctx, p, func(txn store.Txn) error {
			return s.recs.put(txn, nonceKey(s, nonce), rec, s.inFlightEnd())
		})
	}
	if err != nil {
		s.unsent(ctx, rec.Request)
		return "", err
	}
	return nonce, nil
}

// Callback is the homeserver asking for a token, with a nonce as
// client_secret: it has decided that the address may have one. Session,
// message and the note that the nonce was used are one transaction. A second
// call with the same nonce (the homeserver's HTTP client tried again) answers
// the same sid and sends nothing.
func (s *Service) Callback(ctx context.Context, nonce string, medium Medium, address string) (Opened, error) {
	p, ok := partitionOf(nonce)
	if !ok {
		return Opened{}, ErrUnknownNonce
	}
	rec, err := s.pending(ctx, p, nonce)
	if err != nil {
		return Opened{}, err
	}
	if rec.Request.Medium != medium || rec.Request.Address != address {
		return Opened{}, ErrUnknownNonce
	}
	o, err := s.newOpening(p, rec.Request)
	if err != nil {
		return Opened{}, err
	}
	err = s.store.Update(ctx, p, func(txn store.Txn) error {
		rec := nonceRecord{} // nothing may be left of a run that was not committed
		if err := s.recs.get(txn, nonceKey(s, nonce), &rec); err != nil {
			return err
		}
		if rec.SID != "" {
			o.reset()
			o.opened.SID = rec.SID
			return nil
		}
		if err := o.run(txn); err != nil {
			return err
		}
		rec.SID, rec.Sent = o.opened.SID, o.opened.Sent
		return s.recs.put(txn, nonceKey(s, nonce), rec, s.inFlightEnd())
	})
	if errors.Is(err, store.ErrNotFound) {
		return Opened{}, ErrUnknownNonce
	}
	if err != nil {
		return Opened{}, err
	}
	o.announce()
	return o.opened, nil
}

func (s *Service) pending(ctx context.Context, p store.Partition, nonce string) (nonceRecord, error) {
	var rec nonceRecord
	err := s.store.View(ctx, p, func(txn store.Txn) error {
		return s.recs.get(txn, nonceKey(s, nonce), &rec)
	})
	if errors.Is(err, store.ErrNotFound) {
		return rec, ErrUnknownNonce
	}
	return rec, err
}

// Settle ends the wait: the homeserver has answered the client's request. It
// returns the session that a callback opened, or an empty sid when there was
// no callback.
func (s *Service) Settle(ctx context.Context, nonce string) (Opened, error) {
	p, ok := partitionOf(nonce)
	if !ok {
		return Opened{}, ErrUnknownNonce
	}
	var rec nonceRecord
	err := s.store.Update(ctx, p, func(txn store.Txn) error {
		rec = nonceRecord{}
		if err := s.recs.get(txn, nonceKey(s, nonce), &rec); err != nil {
			return err
		}
		return txn.Delete(nonceKey(s, nonce))
	})
	if errors.Is(err, store.ErrNotFound) {
		return Opened{}, nil // the homeserver took longer than any nonce lives
	}
	if err == nil && !rec.Sent {
		s.unsent(ctx, rec.Request)
	}
	return Opened{SID: rec.SID, Sent: rec.Sent}, err
}

// Adopt remembers a session that the homeserver opened and mailed by itself
// (Synapse 1.0-1.3.1 with its own mailer): it knows it under the nonce, the
// client under its client_secret.
func (s *Service) Adopt(ctx context.Context, sid, nonce string, req Request) error {
	name := s.keys.HashText("foreign session", sid)
	rec := foreignRecord{Nonce: nonce, Secret: s.secret(req.ClientSecret), Purpose: req.Purpose}
	return s.store.Update(ctx, s.shard(name), func(txn store.Txn) error {
		return s.recs.put(txn, kindForeign+name, rec, s.now().Add(MaxLifetime))
	})
}

// Adopted returns the nonce under which the homeserver knows one of its own
// sessions, or ErrNoSession.
func (s *Service) Adopted(ctx context.Context, sid, clientSecret string, purpose Purpose) (string, error) {
	name := s.keys.HashText("foreign session", sid)
	var rec foreignRecord
	err := s.store.View(ctx, s.shard(name), func(txn store.Txn) error {
		return s.recs.get(txn, kindForeign+name, &rec)
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoSession
	}
	if err != nil {
		return "", err
	}
	given := s.secret(clientSecret)
	if rec.Purpose != purpose || !equal(rec.Secret, given) {
		return "", ErrNoSession
	}
	return rec.Nonce, nil
}

// expiry of entries that live only while one request is at the homeserver.
func (s *Service) inFlightEnd() time.Time { return s.now().Add(s.cfg.InFlight) }
