// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// RequestToken opens a session, or continues one, and commits its message with
// it. It decides by itself: whether the address is in use is not its concern.
func (s *Service) RequestToken(ctx context.Context, req Request) (Opened, error) {
	asked, err := s.locate(ctx, req)
	if err != nil {
		return Opened{}, err
	}
	counted, err := s.admit(ctx, req, &asked)
	if err != nil {
		return Opened{}, err
	}
	o, unsure, err := s.openNow(ctx, asked, false)
	if !unsure && (err != nil || !o.opened.Sent) {
		s.unsent(ctx, asked)
	}
	if err != nil {
		return Opened{}, err
	}
	if !o.opened.Sent && !o.held {
		s.repeated(ctx, counted)
	}
	return o.opened, nil
}

// openNow runs a request that was admitted. With going, it opens no session, but
// only goes on with one. An error with unsure is one after which its message may have
// been written all the same.
func (s *Service) openNow(ctx context.Context, req openingRequest, going bool) (o *opening, unsure bool, err error) {
	o, err = s.newOpening(sealed.PartitionOf(req.Index), req)
	if err == nil {
		o.going = going
	}
	if err == nil && req.Decoy {
		err = o.disguise()
	}
	if err != nil {
		return nil, false, err
	}
	var refused error
	err = s.store.Update(ctx, o.partition, func(txn store.Txn) error {
		refused = o.run(txn)
		return refused
	})
	if err != nil {
		return nil, refused == nil, err
	}
	o.announce()
	return o, false, nil
}

// openingRequest is a Request whose secret is already a hash: it is what a
// nonce remembers.
type openingRequest struct {
	Purpose     Purpose `cbor:"1,keyasint"`
	Medium      Medium  `cbor:"2,keyasint"`
	Address     string  `cbor:"3,keyasint"`
	Index       string  `cbor:"4,keyasint"`
	Secret      hash    `cbor:"5,keyasint"`
	SendAttempt int64   `cbor:"6,keyasint"`
	NextLink    string  `cbor:"7,keyasint,omitempty"`
	Language    string  `cbor:"8,keyasint,omitempty"`
	Proof       Proof   `cbor:"9,keyasint,omitempty"`
	Brand       string  `cbor:"10,keyasint,omitempty"`
	RepeatOnly  bool    `cbor:"11,keyasint,omitempty"`
	Held        bool    `cbor:"12,keyasint,omitempty"`
	// Decoy says that the homeserver has refused what is held.
	Decoy    bool `cbor:"13,keyasint,omitempty"`
	Discreet bool `cbor:"14,keyasint,omitempty"`
	// Asked is when it was made, in Unix milliseconds, or zero for now.
	Asked  int64             `cbor:"15,keyasint,omitempty"`
	Origin provenance.Origin `cbor:"16,keyasint,omitzero"`
	Early  bool              `cbor:"17,keyasint,omitempty"`
	Typed  string            `cbor:"18,keyasint,omitempty"`
	// By is the network it comes from, as a short keyed hash, and Wanted that the owner
	// of the address is known by it.
	By     uint64 `cbor:"19,keyasint,omitempty"`
	Wanted bool   `cbor:"20,keyasint,omitempty"`
}

func (s *Service) openingRequestOf(req Request, index string, secret hash) openingRequest {
	return openingRequest{
		Purpose: req.Purpose, Medium: req.Medium, Address: req.Address, Typed: req.Typed,
		Index: index, Secret: secret, SendAttempt: req.SendAttempt,
		NextLink: req.NextLink, Language: req.Language, Brand: req.Brand, Proof: req.Proof, RepeatOnly: req.RepeatOnly,
		Held: req.Held, Discreet: req.Discreet, Origin: req.Origin, Early: req.Early,
		By: s.network(req.Client),
	}
}

// Due reports whether a request would send a message, and not only repeat an
// earlier one, and whether it goes on with a session that is open. What costs money
// is paid for between this and the request itself, which says by RepeatOnly what was
// found here.
func (s *Service) Due(ctx context.Context, req Request) (due, open bool, err error) {
	asked, err := s.locate(ctx, req)
	if err != nil {
		return false, false, err
	}
	return s.due(ctx, asked)
}

func (s *Service) due(ctx context.Context, req openingRequest) (due, open bool, err error) {
	o := &opening{svc: s, req: req, partition: sealed.PartitionOf(req.Index)}
	err = s.viewLatest(ctx, o.partition, func(txn store.Txn) error {
		session, err := o.find(txn, s.now())
		open = session != nil
		due = !open || session.asks(o.req)
		return err
	})
	return due, open, err
}

// repeatDelay is when to come back with a request that was taken for a
// repetition, and whose session has just ended.
const repeatDelay = time.Second

// opening is one run of requestToken. All randomness is drawn before the
// transaction, which the store may run again.
type opening struct {
	svc       *Service
	req       openingRequest
	partition store.Partition
	freshSID  string
	token     string
	decoy     bool
	going     bool // it opens no session
	resend    bool // nobody has asked for it but the operator

	// Set by each run.
	opened  Opened
	created bool
	held    bool // the message is held, and was not before
	mute    bool // the message goes nowhere, see discreet.go
	message Message
}

func (s *Service) newOpening(p store.Partition, req openingRequest) (*opening, error) {
	sid, err := s.ids.sid(p)
	if err != nil {
		return nil, err
	}
	token, err := s.ids.token(req.Proof)
	if err != nil {
		return nil, err
	}
	return &opening{svc: s, req: req, partition: p, freshSID: sid, token: token}, nil
}

// run is the transaction.
func (o *opening) run(txn store.Txn) error {
	o.reset()
	now := o.now()
	session, err := o.find(txn, now)
	if err != nil {
		return err
	}
	fresh := session == nil
	if fresh && o.going {
		return nil // it was revoked, say
	}
	if !fresh && o.req.Early {
		o.opened = Opened{SID: session.SID} // the same send_attempt sends later
		return nil
	}
	due := fresh || session.asks(o.req)
	if due && o.req.RepeatOnly {
		return &LimitError{RetryAfter: repeatDelay, Limit: LimitRepeat}
	}
	if fresh {
		session = o.create(now)
		// It has to be found for as long as it can live: one more lifetime
		// after it is validated at its very end.
		end := time.UnixMilli(session.Until).Add(o.svc.cfg.SessionLifetime)
		if err := kindIndex.Set(txn, kindIndex.Key(o.req.Index), []byte(session.SID), end); err != nil {
			return err
		}
	}
	o.opened = Opened{SID: session.SID}
	switch {
	case !due:
		return nil
	case o.req.Held:
		o.held = true
		if len(session.Tokens) == 0 { // else it says what the newest of them is
			session.Decoy = o.decoy
		}
		return o.svc.putSession(txn, session)
	}
	session.says(o.req)
	session.By = o.req.By
	return o.send(txn, session, now)
}

// reset forgets a run: the store may run a transaction again.
func (o *opening) reset() {
	o.opened, o.created, o.held, o.mute, o.message = Opened{}, false, false, false, Message{}
}

// send makes the next message of a session and writes both.
func (o *opening) send(txn store.Txn, session *Session, now time.Time) error {
	o.opened = Opened{SID: session.SID, Sent: true}
	if o.mute = session.secretlyRefused(o.req.Discreet); o.mute {
		return o.svc.putSession(txn, session)
	}
	if session.Proof != o.req.Proof { // the configuration has changed
		session.Proof, session.Tokens = o.req.Proof, nil
	}
	session.sent(o.svc.tokenHash(session.SID, o.token), now, o.svc.cfg.TokenLifetime)
	session.Decoy = o.decoy
	session.asked(o.origin(session), now)
	o.message = o.compose(session, now)
	if err := o.put(txn); err != nil {
		return err
	}
	return o.svc.putSession(txn, session)
}

// opened reports whether s is a session of such requests. The index says so
// already, but unlike the session it is not sealed: whoever can write to the
// store must not lead a request to somebody else's session.
func (r *openingRequest) opened(s *Session) bool {
	return s.Purpose == r.Purpose && s.Medium == r.Medium && s.Address == r.Address && equal(s.Secret, r.Secret)
}

// find returns the session that this request continues, or nil.
func (o *opening) find(txn store.Txn, now time.Time) (*Session, error) {
	sid, err := txn.Get(kindIndex.Key(o.req.Index))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !o.svc.Owns(string(sid)) {
		return nil, nil
	}
	session, err := o.svc.session(txn, string(sid))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	session.expireClaim(now)
	if !session.reusable(now, o.req.Discreet) || !o.req.opened(session) {
		return nil, nil
	}
	return session, nil
}

func (o *opening) create(now time.Time) *Session {
	o.created = true
	session := &Session{
		SID: o.freshSID, State: Pending,
		Purpose: o.req.Purpose, Medium: o.req.Medium, Address: o.req.Address,
		Secret: o.req.Secret, Proof: o.req.Proof,
		Created: now.UnixMilli(), Until: now.Add(o.svc.cfg.SessionLifetime).UnixMilli(),
	}
	session.says(o.req)
	session.SendAttempt = math.MinInt64 // none yet
	session.asks(o.req)
	return session
}

// says takes over how a request wants its reader to be spoken to.
func (s *Session) says(req openingRequest) {
	s.Typed, s.NextLink, s.Language, s.Brand = req.Typed, req.NextLink, req.Language, req.Brand
}

func (o *opening) compose(session *Session, now time.Time) Message {
	last, token := session.Tokens[len(session.Tokens)-1], o.token
	if o.decoy {
		token = "" // nobody is to have it
	}
	return Message{
		ID: messageID(session.SID, session.Sends), SID: session.SID,
		Purpose: session.Purpose, Medium: session.Medium, Address: session.Address,
		Proof: session.Proof, Token: token, Language: session.Language,
		Created: now, Expires: time.UnixMilli(last.Expires),
		Brand: session.Brand, Refusal: o.svc.refusal(session.SID), Attempt: session.SendAttempt,
		Decoy: o.decoy, Origin: session.Origin, By: session.By, Wanted: o.req.Wanted || o.resend,
	}
}

// origin is where the newest message of a session was asked for. One that the
// operator sends again was asked for where the one before was.
func (o *opening) origin(session *Session) provenance.Origin {
	if o.resend {
		return session.Origin
	}
	return o.req.Origin
}

// announce tells, after the commit, what was done.
func (o *opening) announce() {
	switch {
	case o.mute:
		o.svc.cfg.Observer.Transition(o.req.Purpose, o.req.Medium, "unsent")
	case o.created && o.decoy:
		o.svc.cfg.Observer.Transition(o.req.Purpose, o.req.Medium, "decoy")
	case o.created:
		o.svc.cfg.Observer.Transition(o.req.Purpose, o.req.Medium, "pending")
	case o.opened.Sent:
		o.svc.cfg.Observer.Transition(o.req.Purpose, o.req.Medium, "resent")
	}
	if o.opened.Sent && !o.mute {
		o.svc.cfg.Outbox.Wake(o.partition, o.message.ID)
	}
}
