// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"crypto/subtle"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
)

// State is where a session stands. Expiry is not a state but a fact of the
// clock; see [Session.Expired].
type State uint8

// The states, in the order in which a session passes through them.
const (
	Pending State = iota + 1
	Validated
	Consumed
	Revoked
)

// String returns the word used in metrics and logs.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Validated:
		return "validated"
	case Consumed:
		return "consumed"
	case Revoked:
		return "revoked"
	default:
		return "unknown"
	}
}

type hash = [keyring.HashSize]byte

// maxTokens is how many links of one session work at the same time: a reader
// may click any of the last mails. Of codes only the newest works, because
// every live code makes guessing easier.
const maxTokens = 4

// Session is one validation. Its methods are the state machine: they change
// nothing but the session and are told the time.
type Session struct {
	SID     string  `cbor:"1,keyasint"`
	Purpose Purpose `cbor:"2,keyasint"`
	Medium  Medium  `cbor:"3,keyasint"`
	Address string  `cbor:"4,keyasint"`
	Proof   Proof   `cbor:"5,keyasint,omitempty"`
	State   State   `cbor:"6,keyasint"`
	// Secret is the keyed hash of the client_secret.
	Secret      hash    `cbor:"7,keyasint"`
	SendAttempt int64   `cbor:"8,keyasint"`
	Sends       int     `cbor:"9,keyasint"`
	Tokens      []Token `cbor:"10,keyasint"`
	// Tries counts the tokens that were compared while pending.
	Tries int `cbor:"11,keyasint,omitempty"`
	// Until is the absolute end: the last modification plus the lifetime.
	Until       int64  `cbor:"12,keyasint"` // Unix milliseconds
	ValidatedAt int64  `cbor:"13,keyasint,omitempty"`
	NextLink    string `cbor:"14,keyasint,omitempty"`
	Language    string `cbor:"15,keyasint,omitempty"`
	Claim       *Claim `cbor:"16,keyasint,omitempty"`
	// ConsumedIn is the keyed hash of the UIA session that consumed this one,
	// for registration only.
	ConsumedIn hash   `cbor:"17,keyasint,omitzero"`
	Brand      string `cbor:"18,keyasint,omitempty"`
	// Created and Refused are when the session was opened, and when the owner
	// of the address first said that it was not theirs; Unix milliseconds.
	Created int64 `cbor:"19,keyasint,omitempty"`
	Refused int64 `cbor:"20,keyasint,omitempty"`
	// Decoy says that the newest message explains why there is no token, and
	// that the newest of the tokens is known to nobody; see decoy.go.
	Decoy bool `cbor:"21,keyasint,omitempty"`
	// HeldAttempt is the last send_attempt whose message was held, if one was.
	HeldAttempt *int64 `cbor:"22,keyasint,omitempty"`
	// Lapsed are the tokens of a session that its owner has refused. They confirm
	// nothing, and tell the reader of the mail from others; see discreet.go.
	Lapsed []Token `cbor:"23,keyasint,omitempty"`
	// Origin is where the newest message was asked for, and Asked when, if that
	// was not when the session was opened; Unix milliseconds.
	Origin provenance.Origin `cbor:"24,keyasint,omitzero"`
	Asked  int64             `cbor:"25,keyasint,omitempty"`
	// Typed is how the address was typed, see Request.
	Typed string `cbor:"26,keyasint,omitempty"`
	// By is the network that its newest message was asked for from, as a short keyed hash.
	By uint64 `cbor:"27,keyasint,omitempty"`
}

// Token is one link or code that was sent.
type Token struct {
	_       struct{} `cbor:",toarray"`
	Hash    hash
	Expires int64 // Unix milliseconds
}

// Claim is a completion in flight: a validated session shown to the
// homeserver under an alias, by one request, for a bounded time.
type Claim struct {
	_     struct{} `cbor:",toarray"`
	ID    hash
	Until int64 // Unix milliseconds
	// Answered says that the homeserver was told "validated".
	Answered bool
}

// Expired reports whether the session has reached its absolute end.
func (s *Session) Expired(now time.Time) bool { return now.UnixMilli() >= s.Until }

// reusable reports whether another requestToken continues this session.
func (s *Session) reusable(now time.Time, discreet bool) bool {
	return !s.Expired(now) && (s.State == Pending || s.State == Validated || s.secretlyRefused(discreet))
}

// expireClaim applies what the clock alone decides: a claim whose time is over. Its
// outcome was never reported (the process died, say). If the homeserver had
// been told "validated" it may have acted on it, and a session completes once,
// so then the session counts as consumed.
func (s *Session) expireClaim(now time.Time) {
	if s.Claim == nil || now.UnixMilli() < s.Claim.Until {
		return
	}
	if s.Claim.Answered {
		s.State = Consumed
	}
	s.Claim = nil
}

// request records a requestToken for a session that exists and reports
// whether a message is due: only when send_attempt is greater than the last
// one (IS API, requestToken, send_attempt).
func (s *Session) request(attempt int64) bool {
	if attempt <= s.SendAttempt {
		return false
	}
	s.SendAttempt = attempt
	return true
}

// asks is request, or hold.
func (s *Session) asks(req openingRequest) bool {
	if req.Held {
		return s.hold(req.SendAttempt)
	}
	return s.request(req.SendAttempt)
}

// hold is the same for a request whose message is held.
func (s *Session) hold(attempt int64) bool {
	if attempt <= s.SendAttempt || s.HeldAttempt != nil && attempt <= *s.HeldAttempt {
		return false
	}
	s.HeldAttempt = &attempt
	return true
}

// sent records a token that goes out now.
func (s *Session) sent(token hash, now time.Time, life time.Duration) {
	s.Sends++
	expires := min(now.Add(life).UnixMilli(), s.Until)
	keep := maxTokens - 1
	if s.Proof == ProofCode {
		keep = 0
	}
	s.Tokens = append(s.Tokens[max(0, len(s.Tokens)-keep):], Token{Hash: token, Expires: expires})
}

// asked notes where and when the newest message was asked for.
func (s *Session) asked(origin provenance.Origin, now time.Time) {
	s.Origin, s.Asked = origin, now.UnixMilli()
	if s.Asked == s.Created {
		s.Asked = 0
	}
}

// confirm applies a submitted token. Validating sets a new absolute end,
// because it is a modification (IS API, "Terminology": 24 hours since the most
// recent one).
func (s *Session) confirm(token tokens, now time.Time, life time.Duration, maxTries int, discreet bool) error {
	switch {
	case s.Expired(now):
		return ErrExpired
	case s.State == Revoked && !s.secretlyRefused(discreet):
		return ErrRevoked
	case s.State == Validated || s.State == Consumed:
		// Clicking twice is fine, guessing is pointless: nothing is counted.
		err := s.match(token, now)
		if errors.Is(err, ErrExpired) {
			err = nil
		}
		return err
	}
	s.Tries++ // counted before it is compared
	err := s.match(token, now)
	if err != nil {
		if s.Tries >= maxTries {
			s.revoke()
		}
		return err
	}
	if s.State == Revoked {
		return ErrRevoked
	}
	s.State = Validated
	s.ValidatedAt = now.UnixMilli()
	s.Until = now.Add(life).UnixMilli()
	return nil
}

// tokens are the hashes of one token, by every key: it may have been sent
// before the one in use.
type tokens []hash

// match finds the token among those sent. All are compared, each in constant
// time, whatever the outcome.
func (s *Session) match(token tokens, now time.Time) error {
	found, sent := -1, s.Tokens
	if s.State == Revoked {
		sent = s.Lapsed
	}
	for i := range sent {
		for _, one := range token {
			if subtle.ConstantTimeCompare(sent[i].Hash[:], one[:]) == 1 {
				found = i
			}
		}
	}
	if found < 0 {
		return ErrTokenIncorrect
	}
	if now.UnixMilli() >= sent[found].Expires {
		return ErrExpired
	}
	return nil
}

// claim reserves a validated session for one completing request.
func (s *Session) claim(id hash, purpose Purpose, now time.Time, life time.Duration) error {
	s.expireClaim(now)
	if s.Expired(now) || s.State != Validated || s.Purpose != purpose || s.Claim != nil {
		return ErrNotValidated
	}
	s.Claim = &Claim{ID: id, Until: now.Add(life).UnixMilli()}
	return nil
}

// answer tells the homeserver, under the claim it was shown, that the session
// is validated. A homeserver may ask more than once: its HTTP client may retry
// on a dropped connection.
func (s *Session) answer(id hash, now time.Time) error {
	s.expireClaim(now)
	if s.Expired(now) || s.State != Validated || !s.claimedBy(id) {
		return ErrNotValidated
	}
	s.Claim.Answered = true
	return nil
}

func (s *Session) claimedBy(id hash) bool {
	return s.Claim != nil && subtle.ConstantTimeCompare(s.Claim.ID[:], id[:]) == 1
}

// unasked reports whether the homeserver could have asked about a claim up to
// now, and has not. One whose time is over, or that was ended in another way, is
// not known about: it may have asked and got a refusal.
func (s *Session) unasked(id hash, now time.Time) bool {
	return s.claimedBy(id) && !s.Claim.Answered && !s.Expired(now) && now.UnixMilli() < s.Claim.Until
}

// Outcome is what became of a completing request.
type Outcome uint8

const (
	// Refused: the homeserver answered, and not with success.
	Refused Outcome = iota + 1
	// Completed: the homeserver has accepted the proof.
	Completed
	// Unknown: the answer was lost. The homeserver may have acted.
	Unknown
	// Kept: the homeserver has refused the request, but not the proof. If it was
	// told "validated", it keeps that with the UIA session, which is worth as much
	// as the proof from now on.
	Kept
)

// finish ends a claim. A lost answer counts as success if the homeserver had
// been told "validated": a session must never complete twice.
func (s *Session) finish(id hash, outcome Outcome, uia hash) {
	if !s.claimedBy(id) {
		return
	}
	// A UIA session without a name is known to nobody, and worth nothing.
	kept := outcome == Kept && s.Claim.Answered && uia != hash{}
	if kept || outcome == Completed || (outcome == Unknown && s.Claim.Answered) {
		s.State = Consumed
		if s.Purpose == Register || kept {
			// Registration may go on with other stages in the same UIA session.
			s.ConsumedIn = uia
		}
	}
	s.Claim = nil
}

// revoke ends a session before it has proven anything. A completion that has
// not yet got its answer from us will not get it; one that has, can no longer
// be told from one that was used, and does not complete here either.
func (s *Session) revoke() {
	s.State, s.Tokens, s.Lapsed, s.Claim = Revoked, nil, nil, nil
}

// refuse is the owner of the address saying that this was not theirs. What is
// consumed stays so, but the word counts from the first time it was given.
func (s *Session) refuse(now time.Time) error {
	s.expireClaim(now)
	if s.Refused == 0 {
		s.Refused = now.UnixMilli()
	}
	if s.State == Consumed {
		return ErrConsumed
	}
	lapsed := s.Lapsed
	if s.State != Revoked {
		lapsed = s.Tokens
	}
	s.revoke()
	s.Lapsed = lapsed
	return nil
}
