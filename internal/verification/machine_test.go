// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// doConfirm submits the newest token: most sessions get on that way.
func (m *machine) doConfirm(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	m.checkSubmit(t, s, nil, s.history[len(s.history)-1].text)
}

func (m *machine) doSubmit(t *rapid.T) {
	s, secret, token := m.drawSubmission(t)
	m.checkSubmit(t, s, secret, token)
}

// drawSubmission draws any token that was ever sent, to whomever, or none.
func (m *machine) drawSubmission(t *rapid.T) (*modelSession, *threepid.ClientSecret, threepid.Token) {
	s := oneOf(t, "session", m.sessions)
	tokens := []threepid.Token{"wrong", ""}
	for _, sent := range append(s.history, oneOf(t, "other session", m.sessions).history...) {
		tokens = append(tokens, sent.text)
	}
	secret := pick(t, "submitted secret", nil, nil, &s.secret, new(threepid.ClientSecret))
	return s, secret, rapid.SampledFrom(tokens).Draw(t, "token")
}

func (m *machine) checkSubmit(t *rapid.T, s *modelSession, secret *threepid.ClientSecret, token threepid.Token) {
	now, before, fact := m.clock.Now(), s.state, m.facts[s]
	want := m.submit(s, secret, token, now)
	got, err := m.Submit(bg, Submission{SID: s.sid, Token: token, ClientSecret: secret})
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("Submit(%q) to a %s session = %v, want %v", token, before, err, want)
	}
	if err != nil {
		if before == Pending && (errors.Is(err, ErrTokenIncorrect) || errors.Is(err, ErrExpired) && !s.over(now)) {
			fact.wrong++
		}
		return
	}
	if got.Address != s.address || got.Purpose != s.purpose || got.Already != (before != Pending) {
		t.Fatalf("Submit = %+v to a %s session of %+v", got, before, s.scope)
	}
	if got.Already {
		return
	}
	fact.validation++
	fact.touched = now
	for _, sent := range m.outbox.messages() {
		if sent.SID == s.sid && sent.Token == token && now.Before(sent.Expires) {
			fact.confirmed = true
		}
	}
}

func (m *machine) doLook(t *rapid.T) {
	s, secret, token := m.drawSubmission(t)
	before := dump(t, m.cfg.Store)
	want := m.look(s, secret, token, m.clock.Now())
	_, err := m.Inspect(bg, Submission{SID: s.sid, Token: token, ClientSecret: secret})
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("Inspect(%q) of a %s session = %v, want %v", token, s.state, err, want)
	}
	if after := dump(t, m.cfg.Store); len(after) != len(before) {
		t.Fatalf("looking changed the store")
	}
}

func (m *machine) doClaim(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	m.checkClaim(t, s, Completion{
		SID: s.sid, ClientSecret: pick(t, "claimed secret", s.secret, s.secret, s.secret, "s1", "x"),
		Purpose: pick(t, "claimed purpose", s.purpose, s.purpose, threepid.Register, threepid.Password, threepid.Add), UIASession: threepid.UIASession(pick(t, "uia", "", "u1", "u2")),
	})
}

func (m *machine) checkClaim(t *rapid.T, s *modelSession, c Completion) *modelAlias {
	now := m.clock.Now()
	live, replayed := m.model.claim(s, c, now)
	a := &modelAlias{alias: m.fixture.claim(c), uia: c.UIASession}
	if a.alias.Live != live || a.alias.Replayed != replayed {
		t.Fatalf("Claim(%+v) of a %s session: live %v, replayed %v, want %v, %v", c, s.state, a.alias.Live, a.alias.Replayed, live, replayed)
	}
	if live {
		a.session, a.end = s, now.Add(m.inFlight)
		s.holder = a
	}
	m.aliases = append(m.aliases, a)
	return a
}

// doComplete is one whole completion, without interruption.
func (m *machine) doComplete(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	a := m.checkClaim(t, s, Completion{SID: s.sid, ClientSecret: s.secret, Purpose: s.purpose, UIASession: "u1"})
	m.checkAnswer(t, a)
	m.checkFinish(a, pick(t, "outcome", Refused, Completed, Unknown))
}

// doAbandon is a completion whose process dies, before or after the proof was
// given, and a client that tries again when the time in flight is over.
func (m *machine) doAbandon(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	c := Completion{SID: s.sid, ClientSecret: s.secret, Purpose: s.purpose, UIASession: "u1"}
	a := m.checkClaim(t, s, c)
	if rapid.Bool().Draw(t, "answered") {
		m.checkAnswer(t, a)
	}
	m.clock.Advance(m.inFlight - pick(t, "early", 0, 0, time.Millisecond))
	m.checkAnswer(t, m.checkClaim(t, s, c))
}

func (m *machine) doAnswer(t *rapid.T) { m.checkAnswer(t, oneOf(t, "alias", m.aliases)) }

func (m *machine) checkAnswer(t *rapid.T, a *modelAlias) {
	want := m.model.proves(a, m.clock.Now())
	if got := m.fixture.proves(a.alias); got != want {
		t.Fatalf("Validated = %v, want %v", got, want)
	}
	if !want {
		return
	}
	if _, err := m.Validated(bg, a.alias.SID, threepid.AliasSecret(a.session.secret)); !errors.Is(err, ErrNotValidated) {
		t.Fatalf("the client's secret serves with the alias: %v", err)
	}
	fact := m.facts[a.session]
	if !fact.confirmed {
		t.Fatalf("answered for a session that no right token confirmed")
	}
	if now := m.clock.Now(); now.Sub(fact.touched) >= MaxLifetime {
		t.Fatalf("answered %s after the last modification", now.Sub(fact.touched))
	}
	if a.alias.purpose != a.session.purpose {
		t.Fatalf("answered for purpose %s, opened for %s", a.alias.purpose, a.session.purpose)
	}
}

func (m *machine) doFinish(t *rapid.T) {
	a := oneOf(t, "alias", m.aliases)
	m.checkFinish(a, pick(t, "outcome", Refused, Completed, Unknown))
}

func (m *machine) checkFinish(a *modelAlias, outcome Outcome) {
	m.model.finish(a, outcome)
	m.fixture.finish(a.alias, outcome)
}
