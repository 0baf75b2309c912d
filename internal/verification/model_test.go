// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// model says what the service must do, from the specification and the design
// alone: no store, no hashes, no transactions, only facts about sessions.
type model struct {
	lifetime, tokenLife, inFlight time.Duration
	maxTries                      int
	cooldown                      time.Duration
	current                       map[scope]*modelSession
	cool                          map[string]time.Time // until when, by address
}

// scope is what one session is for.
type scope struct {
	purpose threepid.Purpose
	secret  threepid.ClientSecret
	address string
}

type modelSession struct {
	scope
	sid      threepid.SID
	attempt  int64
	proof    Proof
	tokens   []modelToken // those that still work, oldest first
	tries    int
	state    State
	end      time.Time
	holder   *modelAlias
	consumer threepid.UIASession // the UIA session that consumed it
	history  []modelToken
	refused  time.Time // when its owner first refused it
	withdrew bool      // revoked by somebody, not by wrong tokens
}

type modelToken struct {
	text    threepid.Token
	expires time.Time
}

type modelAlias struct {
	alias    *Alias
	session  *modelSession
	uia      threepid.UIASession
	end      time.Time
	answered bool
	ended    Outcome // 0 while in flight, or when the process died
}

type modelNonce struct {
	nonce   threepid.Nonce
	request Request
	end     time.Time
	opened  *Opened
	settled bool
}

// stands is the state of a session as everybody must see it. A holder whose
// time is over and who had the proof has used it.
func (s *modelSession) stands(now time.Time) State {
	if s.state == Validated && s.holder != nil && !now.Before(s.holder.end) && s.holder.answered {
		return Consumed
	}
	return s.state
}

func (s *modelSession) over(now time.Time) bool { return !now.Before(s.end) }

// held reports a holder whose time is not over.
func (s *modelSession) held(now time.Time) bool {
	return s.holder != nil && now.Before(s.holder.end)
}

// continues returns the session that a request would continue, or nil.
func (m *model) continues(req Request, now time.Time) *modelSession {
	s := m.current[scope{req.Purpose, req.ClientSecret, req.Address}]
	if s == nil || s.over(now) {
		return nil
	}
	if state := s.stands(now); state != Pending && state != Validated {
		return nil
	}
	return s
}

// request applies a requestToken whose outcome was sid, and whose message, if
// one was due, carried token. It returns whether one was due.
func (m *model) request(req Request, now time.Time, sid threepid.SID, token threepid.Token) (s *modelSession, due bool) {
	s = m.continues(req, now)
	switch {
	case s == nil:
		s = &modelSession{
			scope: scope{req.Purpose, req.ClientSecret, req.Address},
			sid:   sid, state: Pending, end: now.Add(m.lifetime),
		}
		m.current[s.scope] = s
	case req.SendAttempt <= s.attempt:
		return s, false
	}
	s.attempt = req.SendAttempt
	if req.Proof != s.proof {
		s.proof, s.tokens = req.Proof, nil
	}
	m.resent(s, now, token)
	return s, true
}

// resent adds a token that was sent.
func (m *model) resent(s *modelSession, now time.Time, token threepid.Token) {
	if s.holder != nil && !s.held(now) {
		s.holder = nil // forgotten with the next write
	}
	sent := modelToken{token, earlier(now.Add(m.tokenLife), s.end)}
	s.tokens, s.history = append(s.tokens, sent), append(s.history, sent)
	alive := 4
	if s.proof == ProofCode {
		alive = 1
	}
	s.tokens = s.tokens[max(0, len(s.tokens)-alive):]
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// knows finds a token among those that work.
func (s *modelSession) knows(text threepid.Token) (modelToken, bool) {
	for _, t := range slices.Backward(s.tokens) {
		if t.text == text {
			return t, true
		}
	}
	return modelToken{}, false
}

// look is what the confirmation page says; submit is what its button does.
func (m *model) look(s *modelSession, secret *threepid.ClientSecret, text threepid.Token, now time.Time) error {
	if err := s.refuses(secret, now); err != nil {
		return err
	}
	if s.proof == ProofCode {
		return nil
	}
	return s.verdict(text, now)
}

func (s *modelSession) verdict(text threepid.Token, now time.Time) error {
	t, ok := s.knows(text)
	if !ok {
		return ErrTokenIncorrect
	}
	if s.state == Pending && !now.Before(t.expires) {
		return ErrExpired
	}
	return nil
}

func (s *modelSession) refuses(secret *threepid.ClientSecret, now time.Time) error {
	switch {
	case s.gone(now):
		return ErrExpired
	case secret != nil && *secret != s.secret:
		return ErrNoSession
	case s.over(now):
		return ErrExpired
	case s.state == Revoked:
		return ErrRevoked
	}
	return nil
}

// gone: the record is kept for a minute beyond the end, and no longer.
func (s *modelSession) gone(now time.Time) bool { return !now.Before(s.end.Add(time.Minute)) }

func (m *model) submit(s *modelSession, secret *threepid.ClientSecret, text threepid.Token, now time.Time) error {
	if err := s.refuses(secret, now); err != nil {
		return err
	}
	err := s.verdict(text, now)
	if s.state != Pending {
		return err
	}
	s.tries++
	switch {
	case err == nil:
		s.state, s.end = Validated, now.Add(m.lifetime)
	case s.tries >= m.maxTries:
		s.state, s.tokens = Revoked, nil
	}
	return err
}

// claim returns whether the alias must be live, and whether it is a replay.
func (m *model) claim(s *modelSession, c Completion, now time.Time) (live, replayed bool) {
	if s.gone(now) || c.ClientSecret != s.secret || c.Purpose != s.purpose {
		return false, false
	}
	if s.state == Consumed {
		return false, s.purpose == threepid.Register && c.UIASession != "" && c.UIASession == s.consumer
	}
	return s.stands(now) == Validated && !s.over(now) && !s.held(now), false
}

// proves returns whether the homeserver is told "validated".
func (m *model) proves(a *modelAlias, now time.Time) bool {
	s := a.session
	ok := a.ended == 0 && s != nil && s.holder == a && s.held(now) && s.state == Validated && !s.over(now)
	if ok {
		a.answered = true
	}
	return ok
}

func (m *model) finish(a *modelAlias, outcome Outcome) {
	s := a.session
	if s == nil {
		return
	}
	if a.ended == 0 {
		a.ended = outcome
	}
	if s.holder != a {
		return
	}
	if outcome == Completed || outcome == Unknown && a.answered {
		s.state = Consumed
		if s.purpose == threepid.Register {
			s.consumer = a.uia
		}
	}
	s.holder = nil
}

// refuse is the owner of the address saying no; revoke is the operator.
func (m *model) refuse(s *modelSession, now time.Time) error {
	if s.gone(now) {
		return ErrNoSession
	}
	if s.refused.IsZero() {
		s.refused = now
	}
	if end := s.refused.Add(m.cooldown); end.After(m.cool[s.address]) {
		m.cool[s.address] = end
	}
	return m.revoke(s, now)
}

func (m *model) revoke(s *modelSession, now time.Time) error {
	if s.gone(now) {
		return ErrNoSession
	}
	s.state = s.stands(now)
	if !s.held(now) {
		s.holder = nil
	}
	if s.state == Consumed {
		return ErrConsumed
	}
	s.state, s.tokens, s.holder, s.withdrew = Revoked, nil, nil, true
	return nil
}

// cools is how long nothing is sent to an address.
func (m *model) cools(address string, now time.Time) time.Duration {
	return max(0, m.cool[address].Sub(now))
}
