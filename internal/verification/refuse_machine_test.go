// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"strings"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// checkCool reports whether an address is cooling down, having seen that every
// way to ask for a token says so, and for how long.
func (m *machine) checkCool(req Request) bool {
	wait := m.cools(req.Address, m.clock.Now())
	if wait == 0 {
		return false
	}
	before := len(dump(m.t, m.cfg.Store))
	_, requested := m.RequestToken(bg, req)
	_, awaited := m.Await(bg, req)
	for what, err := range map[string]error{"RequestToken": requested, "Await": awaited} {
		var limit *LimitError
		if !errors.As(err, &limit) || limit.RetryAfter != wait {
			m.t.Fatalf("%s for an address that cools down for %s: %v", what, wait, err)
		}
	}
	if after := len(dump(m.t, m.cfg.Store)); after != before {
		m.t.Fatalf("a refused request has stored something")
	}
	return true
}

// doRefuse is a click on the link in any mail of a session, or on a forged one.
func (m *machine) doRefuse(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	refusal := m.refusalOf(t, pick(t, "whose link", s, s, s, oneOf(t, "other session", m.sessions)))
	if refusal != m.refusalOf(t, s) {
		if err := m.Refuse(bg, s.sid, refusal, false); !errors.Is(err, ErrNoSession) {
			t.Fatalf("Refuse with the link of another session: %v", err)
		}
		return
	}
	now := m.clock.Now()
	if !s.gone(now) {
		if got, err := m.InspectRefusal(bg, s.sid, refusal); err != nil || got.Address != s.address {
			t.Fatalf("InspectRefusal = %+v, %v", got, err)
		}
	}
	want := m.refuse(s, now)
	m.checkWithdrawn(t, s, m.Refuse(bg, s.sid, refusal, false), want)
}

// refusalOf is the secret in the mails of a session: the same in all of them.
func (m *machine) refusalOf(t *rapid.T, s *modelSession) threepid.RefusalToken {
	refusal := ""
	for _, msg := range m.outbox.messages() {
		if msg.SID != s.sid {
			continue
		}
		if msg.Refusal == "" || refusal != "" && msg.Refusal != threepid.RefusalToken(refusal) {
			t.Fatalf("refusals of one session: %q and %q", refusal, msg.Refusal)
		}
		refusal = string(msg.Refusal)
	}
	return threepid.RefusalToken(refusal)
}

func (m *machine) doRevoke(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	want := m.revoke(s, m.clock.Now())
	m.checkWithdrawn(t, s, m.RevokeSession(bg, s.sid), want)
}

// checkWithdrawn compares the outcome, and looks for messages that would still
// be sent.
func (m *machine) checkWithdrawn(t *rapid.T, s *modelSession, got, want error) {
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("revoking a %s session = %v, want %v", s.state, got, want)
	}
	if s.gone(m.clock.Now()) {
		return
	}
	for key := range dump(t, m.cfg.Store) {
		if strings.Contains(key, ":"+OutboxKind.Key(string(s.sid[partitionSize:]))) {
			t.Fatalf("a message of a revoked session is still in the outbox")
		}
	}
	rec := m.record(s.sid)
	if rec.State != s.state || rec.State == Revoked && (len(rec.Tokens) != 0 || rec.Claim != nil) {
		t.Fatalf("the record is %+v, want %s", rec, s.state)
	}
}

// doAdminResend sends again without the client's doing.
func (m *machine) doAdminResend(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	now := m.clock.Now()
	var want error
	switch state := s.stands(now); {
	case s.gone(now):
		want = ErrNoSession
	case s.over(now):
		want = ErrExpired
	case state == Revoked:
		want = ErrRevoked
	case state == Consumed:
		want = ErrConsumed
	}
	err := m.Resend(bg, s.sid)
	if wait := m.cools(s.address, now); want == nil && wait > 0 {
		var limit *LimitError
		if !errors.As(err, &limit) || limit.RetryAfter != wait {
			t.Fatalf("Resend to an address that cools down: %v", err)
		}
		return
	}
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("Resend of a %s session = %v, want %v", s.state, err, want)
	}
	messages := m.outbox.messages()[m.seen:]
	m.seen += len(messages)
	if (len(messages) == 1) != (want == nil) || len(messages) > 1 {
		t.Fatalf("Resend sent %d messages", len(messages))
	}
	if want == nil {
		m.resent(s, now, messages[0].Token)
		if messages[0].Attempt != s.attempt || messages[0].SID != s.sid {
			t.Fatalf("Resend sent %+v, want attempt %d", messages[0], s.attempt)
		}
	}
}
