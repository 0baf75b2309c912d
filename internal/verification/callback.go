// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// nonceRecord is a token request that waits for the homeserver's decision.
type nonceRecord struct {
	Request openingRequest `cbor:"1,keyasint"`
	// SID is set when the homeserver called back.
	SID  threepid.SID `cbor:"2,keyasint,omitempty"`
	Sent bool         `cbor:"3,keyasint,omitempty"`
	// Failure is set when it called back, or refused, and no session could be
	// opened.
	Failure *failure `cbor:"4,keyasint,omitempty"`
	Decoy   bool     `cbor:"5,keyasint,omitempty"`
	// Held says that its message is held, and was not before.
	Held bool `cbor:"6,keyasint,omitempty"`
}

// foreignRecord is a session that the homeserver opened for itself, under a
// nonce as its client_secret.
type foreignRecord struct {
	Nonce   threepid.Nonce   `cbor:"1,keyasint"`
	Secret  hash             `cbor:"2,keyasint"`
	Purpose threepid.Purpose `cbor:"3,keyasint"`
	// Medium and Address are there to be found, and forgotten. Records of an
	// earlier version lack them; they live for a day.
	Medium  threepid.Medium `cbor:"4,keyasint,omitempty"`
	Address string          `cbor:"5,keyasint,omitempty"`
}

// ThreePID is what the session is about.
func (r *foreignRecord) ThreePID() threepid.ThreePID {
	return threepid.ThreePID{Medium: r.Medium, Address: r.Address}
}

func nonceKey(s *Service, nonce threepid.Nonce) string {
	return kindNonce.Key(s.keys.HashText(nonceLabel, string(nonce)))
}

// nonceLabel and foreignLabel keep the names of nonces and of the homeserver's
// sessions apart from others.
const (
	nonceLabel   = "nonce"
	foreignLabel = "foreign session"
)

// Await notes a token request and returns the nonce that the homeserver is
// shown as client_secret. No lock is held while it decides.
func (s *Service) Await(ctx context.Context, req Request) (nonce threepid.Nonce, err error) {
	asked, err := s.locate(ctx, req)
	if err != nil {
		return "", err
	}
	rec := nonceRecord{Request: asked}
	if req.Discreet {
		rec.Request.Asked = s.now().UnixMilli()
	}
	counted, err := s.admit(ctx, req, &rec.Request)
	if err != nil {
		return "", err
	}
	p := sealed.PartitionOf(rec.Request.Index)
	name, err := s.ids.in(p)
	nonce = threepid.Nonce(name)
	if err == nil {
		err = s.store.Update(ctx, p, func(txn store.Txn) error {
			return kindNonce.Put(txn, s.keys, nonceKey(s, nonce), rec, s.inFlightEnd())
		})
	}
	if err != nil {
		s.unsent(ctx, rec.Request)
		return "", err
	}
	s.waiting.Store(nonce, counted)
	return nonce, nil
}

// Callback is the homeserver asking for a token, with a nonce as
// client_secret: it has decided that the address may have one. Session,
// message and the note that the nonce was used are one transaction. A second
// call with the same nonce (the homeserver's HTTP client tried again) answers
// the same sid and sends nothing.
func (s *Service) Callback(ctx context.Context, nonce threepid.Nonce, id threepid.ThreePID) (Opened, error) {
	return s.decided(ctx, nonce, func(req openingRequest) bool { return req.ThreePID() == id }, false)
}

// decided opens the session of a nonce, once the homeserver has decided.
func (s *Service) decided(ctx context.Context, nonce threepid.Nonce, match func(openingRequest) bool, decoy bool) (Opened, error) {
	p, ok := sealed.PartitionIn(nonce)
	if !ok {
		return Opened{}, ErrUnknownNonce
	}
	rec, err := s.pending(ctx, p, nonce)
	if err != nil {
		return Opened{}, err
	}
	if !match(rec.Request) {
		return Opened{}, ErrUnknownNonce
	}
	o, err := s.newOpening(p, rec.Request)
	if err == nil && decoy {
		err = o.disguise()
	}
	if err != nil {
		return Opened{}, err
	}
	err = s.store.Update(ctx, p, func(txn store.Txn) error {
		rec := nonceRecord{} // nothing may be left of a run that was not committed
		key, err := s.recall(txn, kindNonce, nonceLabel, string(nonce), &rec)
		if err != nil {
			return err
		}
		if rec.SID != "" {
			o.reset()
			o.opened.SID, o.opened.Decoy = rec.SID, rec.Decoy
			return nil
		}
		if err := o.run(txn); err != nil {
			return err
		}
		o.opened.Decoy = decoy
		rec.SID, rec.Sent, rec.Decoy, rec.Held = o.opened.SID, o.opened.Sent, decoy, o.held
		return kindNonce.Put(txn, s.keys, key, rec, s.inFlightEnd())
	})
	if errors.Is(err, store.ErrNotFound) {
		return Opened{}, ErrUnknownNonce
	}
	if err != nil {
		return Opened{}, errors.Join(err, s.noteFailure(ctx, p, nonce, err))
	}
	o.announce()
	return o.opened, nil
}

func (s *Service) pending(ctx context.Context, p store.Partition, nonce threepid.Nonce) (nonceRecord, error) {
	var rec nonceRecord
	err := s.store.View(ctx, p, func(txn store.Txn) error {
		_, err := s.recall(txn, kindNonce, nonceLabel, string(nonce), &rec)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return rec, ErrUnknownNonce
	}
	return rec, err
}

// Abandon forgets what a request was counted against that will not be settled.
func (s *Service) Abandon(nonce threepid.Nonce) { s.waiting.Delete(nonce) }

// Settle ends the wait: the homeserver has answered the client's request. It
// returns the session that a callback opened, or an empty sid when there was
// no callback. Why a callback could not open one is its error: the homeserver
// was told, but it may not tell the client (Dendrite), or not how long to wait
// (Synapse).
//
// Unasked says that the homeserver could not be asked: then nobody has had anything, and
// what was counted is given back. It is as well, for the most part, if the request only
// repeated another; not before, because until the homeserver has decided it may turn out
// to send something after all.
func (s *Service) Settle(ctx context.Context, nonce threepid.Nonce, unasked bool) (Opened, error) {
	p, ok := sealed.PartitionIn(nonce)
	if !ok {
		return Opened{}, ErrUnknownNonce
	}
	var rec nonceRecord
	err := s.store.Update(ctx, p, func(txn store.Txn) error {
		rec = nonceRecord{}
		key, err := s.recall(txn, kindNonce, nonceLabel, string(nonce), &rec)
		if err != nil {
			return err
		}
		return txn.Delete(key)
	})
	if errors.Is(err, store.ErrNotFound) {
		return Opened{}, nil // the homeserver took longer than any nonce lives
	}
	if err == nil && (!rec.Sent || rec.Decoy) {
		s.unsent(ctx, rec.Request) // what a decoy sends is counted when it is, see Explain
	}
	repeats := rec.SID != "" && !rec.Sent && !rec.Held
	if counted, ok := s.waiting.LoadAndDelete(nonce); ok && err == nil && (repeats || unasked && rec.SID == "") {
		s.repeated(ctx, counted.(*demand))
	}
	if err == nil && rec.SID == "" {
		err = rec.Failure.err()
	}
	return Opened{SID: rec.SID, Sent: rec.Sent, Decoy: rec.Decoy}, err
}

// Adopt remembers a session that the homeserver opened and mailed by itself
// (Synapse 1.0-1.3.1 with its own mailer): it knows it under the nonce, the
// client under its client_secret.
func (s *Service) Adopt(ctx context.Context, sid threepid.SID, nonce threepid.Nonce, req Request) error {
	name := s.keys.HashText(foreignLabel, string(sid))
	rec := foreignRecord{
		Nonce: nonce, Secret: s.secret(req.ClientSecret), Purpose: req.Purpose,
		Medium: req.Medium, Address: req.Address,
	}
	return s.store.Update(ctx, sealed.PartitionOf(name), func(txn store.Txn) error {
		return kindForeign.Put(txn, s.keys, kindForeign.Key(name), rec, s.now().Add(MaxLifetime))
	})
}

// Adopted returns the nonce under which the homeserver knows one of its own
// sessions, or ErrNoSession.
func (s *Service) Adopted(ctx context.Context, sid threepid.SID, clientSecret threepid.ClientSecret, purpose threepid.Purpose) (threepid.Nonce, error) {
	var rec foreignRecord
	err := s.anywhere(ctx, s.keys.HashTexts(foreignLabel, string(sid)), func(txn store.Txn, name string) error {
		return kindForeign.Get(txn, s.keys, kindForeign.Key(name), &rec)
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoSession
	}
	if err != nil {
		return "", err
	}
	if rec.Purpose != purpose || !s.keys.Made(rec.Secret, secretLabel, string(clientSecret)) {
		return "", ErrNoSession
	}
	return rec.Nonce, nil
}

// expiry of entries that live only while one request is at the homeserver.
func (s *Service) inFlightEnd() time.Time { return s.now().Add(s.cfg.InFlight) }
