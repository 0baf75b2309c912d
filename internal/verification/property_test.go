// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// machine drives a service and the model through the same events.
type machine struct {
	*fixture
	model
	t        *rapid.T
	sessions []*modelSession
	aliases  []*modelAlias
	nonces   []*modelNonce
	facts    map[*modelSession]*fact
	seen     int // messages looked at so far
}

// fact is what the invariants need to know of a session, gathered from
// outcomes, not from the model.
type fact struct {
	touched    time.Time // opened or validated
	confirmed  bool      // a right token was accepted in time
	attempts   int64     // the highest send_attempt that sent
	wrong      int       // tokens that were called incorrect or expired
	validation int
}

func newMachine(t *rapid.T) *machine {
	f := newFixture(t, func(c *Config) { c.MaxTries, c.SessionLifetime, c.Cooldown = 3, 24*time.Hour, 2*time.Hour })
	return &machine{
		fixture: f, t: t, facts: map[*modelSession]*fact{},
		model: model{
			lifetime: f.cfg.SessionLifetime, tokenLife: f.cfg.TokenLifetime, inFlight: f.cfg.InFlight,
			maxTries: f.cfg.MaxTries, current: map[scope]*modelSession{},
			cooldown: f.cfg.Cooldown, cool: map[string]time.Time{},
		},
	}
}

// TestEveryHistory: in every history of events the service does what the model
// does, and the invariants hold after each event.
func TestEveryHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"request":  m.doRequest,
			"await":    m.doAwait,
			"callback": m.doCallback,
			"settle":   m.doSettle,
			"confirm":  m.doConfirm,
			"guess":    m.doSubmit,
			"look":     m.doLook,
			"claim":    m.doClaim,
			"complete": m.doComplete,
			"answer":   m.doAnswer,
			"finish":   m.doFinish,
			"wait":     m.doWait,
			"resend":   m.doResend,
			"abandon":  m.doAbandon,
			"refuse":   m.doRefuse,
			"revoke":   m.doRevoke,
			"again":    m.doAdminResend,
			"":         m.invariants,
		})
	})
}

func pick[T any](t *rapid.T, what string, from ...T) T { return rapid.SampledFrom(from).Draw(t, what) }

// oneOf draws from what exists so far, or skips the event.
func oneOf[T any](t *rapid.T, what string, from []T) T {
	if len(from) == 0 {
		t.Skip("there is no " + what + " yet")
	}
	return rapid.SampledFrom(from).Draw(t, what)
}

func (m *machine) drawRequest(t *rapid.T) Request {
	return ask(
		purpose(pick(t, "purpose", threepid.Register, threepid.Password)), secret(pick(t, "secret", "s1", "s2")),
		mailbox(pick(t, "address", "alice@example.com", "bob@example.com")),
		attempt(rapid.Int64Range(0, 5).Draw(t, "attempt")), proof(pick(t, "proof", ProofLink, ProofLink, ProofCode)),
	)
}

func (m *machine) doRequest(t *rapid.T) {
	req := m.drawRequest(t)
	now := m.clock.Now()
	if m.checkCool(req) {
		return
	}
	before := m.continues(req, now)
	m.checkOpened(req, before, m.open(req), now)
}

// doResend asks again for a session that exists.
func (m *machine) doResend(t *rapid.T) {
	s := oneOf(t, "session", m.sessions)
	req := ask(purpose(s.purpose), secret(s.secret), mailbox(s.address), proof(s.proof),
		attempt(s.attempt+rapid.Int64Range(0, 2).Draw(t, "more")))
	now := m.clock.Now()
	if m.checkCool(req) {
		return
	}
	before := m.continues(req, now)
	m.checkOpened(req, before, m.open(req), now)
}

// checkOpened compares what a request did with what it had to do.
func (m *machine) checkOpened(req Request, before *modelSession, got Opened, now time.Time) {
	messages := m.outbox.messages()[m.seen:]
	m.seen += len(messages)
	var token string
	if len(messages) == 1 {
		token = string(messages[0].Token)
	}
	s, due := m.request(req, now, got.SID, threepid.Token(token))
	if got.SID != s.sid || got.Sent != due || (len(messages) == 1) != due || len(messages) > 1 {
		m.t.Fatalf("request %+v = %+v with %d messages, want sid %q, sent %v", req, got, len(messages), s.sid, due)
	}
	if before == nil {
		for _, other := range m.sessions {
			if other.sid == got.SID {
				m.t.Fatalf("sid %q of an older session was given again", got.SID)
			}
		}
		m.sessions = append(m.sessions, s)
		m.facts[s] = &fact{touched: now, attempts: req.SendAttempt - 1}
	}
	fact := m.facts[s]
	if got.Sent && req.SendAttempt <= fact.attempts {
		m.t.Fatalf("send_attempt %d was sent after %d", req.SendAttempt, fact.attempts)
	}
	if !due {
		return
	}
	fact.attempts = req.SendAttempt
	msg := messages[0]
	if msg.SID != s.sid || msg.Address != req.Address || msg.Purpose != req.Purpose || msg.Proof != req.Proof {
		m.t.Fatalf("request %+v sent %+v", req, msg)
	}
	if msg.Expires.After(now.Add(m.tokenLife)) || msg.Expires.After(fact.touched.Add(MaxLifetime)) {
		m.t.Fatalf("a token of %v expires at %v", now, msg.Expires)
	}
}

func (m *machine) doAwait(t *rapid.T) {
	req := m.drawRequest(t)
	if m.checkCool(req) {
		return
	}
	m.nonces = append(m.nonces, &modelNonce{nonce: m.await(req), request: req, end: m.clock.Now().Add(m.inFlight)})
}

func (m *machine) doCallback(t *rapid.T) {
	n := oneOf(t, "nonce", m.nonces)
	address := pick(t, "called address", n.request.Address, n.request.Address, n.request.Address, "eve@example.com")
	now := m.clock.Now()
	before := m.continues(n.request, now)
	got, err := m.Callback(bg, n.nonce, threepid.ThreePID{Medium: threepid.Email, Address: address})
	switch {
	case n.settled || !now.Before(n.end) || address != n.request.Address:
		if !errors.Is(err, ErrUnknownNonce) || got != (Opened{}) {
			t.Fatalf("Callback = %+v, %v, want ErrUnknownNonce", got, err)
		}
	case err != nil:
		t.Fatalf("Callback: %v", err)
	case n.opened != nil:
		if got.SID != n.opened.SID || got.Sent {
			t.Fatalf("second Callback = %+v, want sid %q and nothing sent", got, n.opened.SID)
		}
	default:
		m.checkOpened(n.request, before, got, now)
		n.opened, n.end = &got, now.Add(m.inFlight)
	}
}

func (m *machine) doSettle(t *rapid.T) {
	n := oneOf(t, "nonce", m.nonces)
	var want Opened
	if !n.settled && n.opened != nil && m.clock.Now().Before(n.end) {
		want = *n.opened
	}
	n.settled = true
	if got := m.settle(n.nonce); got != want {
		t.Fatalf("Settle = %+v, want %+v", got, want)
	}
}

// doWait lets time pass: to either side of each of the ends that matter.
func (m *machine) doWait(t *rapid.T) {
	step := pick(t, "wait", time.Second, time.Minute, m.inFlight, 30*time.Minute, m.tokenLife, 12*time.Hour, m.lifetime)
	m.clock.Advance(step + pick(t, "and", 0, 0, -time.Millisecond, time.Millisecond))
}

// invariants hold after every event, whatever the model says.
func (m *machine) invariants(t *rapid.T) {
	now := m.clock.Now()
	if len(m.outbox.faults) != 0 {
		t.Fatalf("outbox: %v", m.outbox.faults)
	}
	// A proof given is a completion, unless the homeserver has refused it.
	used := map[*modelSession]int{}
	for _, a := range m.aliases {
		if a.answered && a.ended != Refused {
			used[a.session]++
		}
	}
	for _, s := range m.sessions {
		fact := m.facts[s]
		if used[s] > 1 || fact.validation > 1 {
			t.Fatalf("session %s was completed %d times and validated %d times", s.sid, used[s], fact.validation)
		}
		if fact.wrong > m.maxTries {
			t.Fatalf("%d wrong tokens were compared, the limit is %d", fact.wrong, m.maxTries)
		}
		rec := m.record(s.sid)
		if rec == nil {
			if !s.gone(now) {
				t.Fatalf("session %s is gone before its end", s.sid)
			}
			continue
		}
		end := time.UnixMilli(rec.Until)
		if end.Sub(fact.touched) > MaxLifetime || !end.Equal(s.end) {
			t.Fatalf("session %s ends %v, last touched %v, want %v", s.sid, end, fact.touched, s.end)
		}
		if proven := rec.State == Validated || rec.State == Consumed; proven != fact.confirmed && !(s.withdrew && rec.State == Revoked) {
			t.Fatalf("session %s is %s, confirmed in time: %v", s.sid, rec.State, fact.confirmed)
		}
		for _, tok := range rec.Tokens {
			if tok.Expires > fact.touched.Add(MaxLifetime).UnixMilli() {
				t.Fatalf("a token of session %s lives longer than 24 hours", s.sid)
			}
		}
	}
}
