// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// transitions is the drawing in doc.go: what each event makes of a session in
// each state.
var transitions = []struct {
	state   State
	claimed bool
	event   string
	err     error
	want    State
	held    bool
}{
	{Pending, false, "right token", nil, Validated, false},
	{Pending, false, "wrong token", ErrTokenIncorrect, Pending, false},
	{Pending, false, "claim", ErrNotValidated, Pending, false},
	{Pending, false, "answer", ErrNotValidated, Pending, false},
	{Pending, false, "accepted", nil, Pending, false},
	{Validated, false, "right token", nil, Validated, false},
	{Validated, false, "wrong token", ErrTokenIncorrect, Validated, false},
	{Validated, false, "claim", nil, Validated, true},
	{Validated, false, "claim for another purpose", ErrNotValidated, Validated, false},
	{Validated, false, "answer", ErrNotValidated, Validated, false},
	{Validated, false, "accepted", nil, Validated, false},
	{Validated, true, "claim", ErrNotValidated, Validated, true},
	{Validated, true, "answer", nil, Validated, true},
	{Validated, true, "answer to another", ErrNotValidated, Validated, true},
	{Validated, true, "accepted", nil, Consumed, false},
	{Validated, true, "other's accepted", nil, Validated, true},
	{Validated, true, "refused", nil, Validated, false},
	{Pending, true, "answer", ErrNotValidated, Pending, true},
	{Consumed, true, "answer", ErrNotValidated, Consumed, true},
	{Revoked, true, "answer", ErrNotValidated, Revoked, true},
	{Consumed, false, "right token", nil, Consumed, false},
	{Consumed, false, "wrong token", ErrTokenIncorrect, Consumed, false},
	{Consumed, false, "claim", ErrNotValidated, Consumed, false},
	{Consumed, false, "answer", ErrNotValidated, Consumed, false},
	{Revoked, false, "right token", ErrRevoked, Revoked, false},
	{Revoked, false, "wrong token", ErrRevoked, Revoked, false},
	{Revoked, false, "claim", ErrNotValidated, Revoked, false},
	{Revoked, false, "answer", ErrNotValidated, Revoked, false},
}

// TestTransitions: the drawing holds, and an expired session accepts nothing.
func TestTransitions(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	token, id := hash{1}, hash{2}
	events := map[string]func(*Session) error{
		"right token": func(s *Session) error { return s.confirm(tokens{token}, now, time.Hour, 2, false) },
		"wrong token": func(s *Session) error { return s.confirm(tokens{{9}}, now, time.Hour, 2, false) },
		"claim":       func(s *Session) error { return s.claim(id, threepid.Register, now, time.Minute) },
		"claim for another purpose": func(s *Session) error {
			return s.claim(id, threepid.Password, now, time.Minute)
		},
		"answer":            func(s *Session) error { return s.answer(id, now) },
		"answer to another": func(s *Session) error { return s.answer(hash{9}, now) },
		"accepted":          func(s *Session) error { s.finish(id, Completed, hash{}); return nil },
		"refused":           func(s *Session) error { s.finish(id, Refused, hash{}); return nil },
		"other's accepted":  func(s *Session) error { s.finish(hash{9}, Completed, hash{}); return nil },
	}
	for _, tt := range transitions {
		t.Run(tt.state.String()+"/"+tt.event, func(t *testing.T) {
			end := now.Add(time.Hour).UnixMilli()
			s := &Session{Purpose: threepid.Register, State: tt.state, Until: end, Tokens: []Token{{Hash: token, Expires: end}}}
			if tt.claimed {
				s.Claim = &Claim{ID: id, Until: now.Add(time.Minute).UnixMilli()}
			}
			wantErr(t, tt.event, events[tt.event](s), tt.err)
			if s.State != tt.want || (s.Claim != nil) != tt.held {
				t.Errorf("the session is %s, claimed %v; want %s, %v", s.State, s.Claim != nil, tt.want, tt.held)
			}
			s.Until = now.UnixMilli()
			for _, event := range []string{"right token", "claim", "answer"} {
				if err := events[event](s); err == nil {
					t.Errorf("%s is accepted by an expired session", event)
				}
			}
		})
	}
}

func TestStateWords(t *testing.T) {
	for state, want := range map[State]string{
		Pending: "pending", Validated: "validated", Consumed: "consumed", Revoked: "revoked", 0: "unknown", 9: "unknown",
	} {
		if got := state.String(); got != want {
			t.Errorf("State(%d).String() = %q, want %q", state, got, want)
		}
	}
}

// TestTokenHashBelongsToItsSession: the same six digits in two sessions are
// stored differently, or the store would tell who shares a code.
func TestTokenHashBelongsToItsSession(t *testing.T) {
	f := newFixture(t)
	if f.tokenHash("00a", "123456") == f.tokenHash("00b", "123456") {
		t.Errorf("two sessions store the same code as the same hash")
	}
}

// TestLostRaces: what another process commits between two runs of one
// transaction decides; nothing of the first run may be told.
func TestLostRaces(t *testing.T) {
	t.Run("a request that finds the session opened", func(t *testing.T) {
		f := newFixture(t)
		var other Opened
		f.meanwhile(func() { other = f.open(ask()) })
		got := f.open(ask())
		if got.SID != other.SID || got.Sent || !other.Sent || len(f.outbox.messages()) != 1 {
			t.Errorf("RequestToken = %+v after %+v, %d messages", got, other, len(f.outbox.messages()))
		}
		if f.watcher.count("register email pending") != 1 || len(f.watcher.seen) != 1 {
			t.Errorf("transitions %v, want pending once", f.watcher.seen)
		}
	})
	t.Run("a claim that finds the session claimed", func(t *testing.T) {
		f := newFixture(t)
		sid := f.validated(ask())
		var other *Alias
		f.meanwhile(func() { other = f.claim(completes(sid)) })
		got := f.claim(completes(sid))
		if got.Live || !other.Live || f.proves(got) || !f.proves(other) {
			t.Errorf("the loser is live: %v, the winner: %v", got.Live, other.Live)
		}
	})
	t.Run("a claim that finds the session gone", func(t *testing.T) {
		f := newFixture(t)
		sid := f.validated(ask())
		f.meanwhile(func() { f.clock.Advance(48 * time.Hour) })
		if f.claim(completes(sid)).Live {
			t.Errorf("an alias of a session that is gone is live")
		}
	})
	t.Run("a right token after the last try", func(t *testing.T) {
		f := newFixture(t)
		sid := f.open(ask()).SID
		f.meanwhile(func() {
			for range DefaultMaxTries {
				_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
			}
		})
		_, err := f.Submit(bg, Submission{SID: sid, Token: f.outbox.last(t).Token})
		wantErr(t, "Submit", err, ErrRevoked)
		if n := f.watcher.count("register email validated"); n != 0 {
			t.Errorf("a revoked session was reported as validated")
		}
	})
}

// TestLostRacesOfTheHomeserver: the same on the way by the homeserver.
func TestLostRacesOfTheHomeserver(t *testing.T) {
	t.Run("a finish that finds the session gone", func(t *testing.T) {
		f := newFixture(t)
		a := f.claim(completes(f.validated(ask())))
		f.meanwhile(func() { f.clock.Advance(48 * time.Hour) })
		f.finish(a, Completed)
		if n := f.watcher.count("register email consumed"); n != 0 {
			t.Errorf("%d transitions to consumed of a session that is gone", n)
		}
	})
	t.Run("a callback that finds the nonce settled", func(t *testing.T) {
		f := newFixture(t)
		nonce := f.await(ask())
		f.meanwhile(func() { f.settle(nonce) })
		got, err := f.Callback(bg, nonce, ask().ThreePID)
		if !errors.Is(err, ErrUnknownNonce) || got != (Opened{}) || len(f.outbox.messages()) != 0 {
			t.Errorf("Callback = %+v, %v, %d messages", got, err, len(f.outbox.messages()))
		}
	})
	t.Run("a callback beside a direct request", func(t *testing.T) {
		f := newFixture(t)
		nonce := f.await(ask())
		var other Opened
		f.meanwhile(func() { other = f.open(ask()) })
		if got := f.callback(nonce, ask()); got.SID != other.SID || got.Sent || len(f.outbox.messages()) != 1 {
			t.Errorf("Callback = %+v after %+v, %d messages", got, other, len(f.outbox.messages()))
		}
	})
}

// TestStoreFails: whatever the store's error is, the caller is told, and
// nothing is claimed to have happened.
func TestStoreFails(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	pending := f.open(ask(secret("pending"))).SID
	a, nonce := f.claim(completes(sid)), f.await(ask())
	token := f.outbox.last(t).Token
	before := len(f.watcher.seen)
	if err := f.cfg.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() (bool, error){
		"RequestToken": func() (bool, error) { got, err := f.RequestToken(bg, ask(attempt(2))); return got != Opened{}, err },
		"Submit": func() (bool, error) {
			got, err := f.Submit(bg, Submission{SID: pending, Token: token})
			return got != Confirmed{}, err
		},
		"Inspect": func() (bool, error) {
			got, err := f.Inspect(bg, Submission{SID: pending})
			return got != Confirmed{}, err
		},
		"Claim": func() (bool, error) { got, err := f.Claim(bg, completes(sid)); return got != nil && got.Live, err },
		"Validated": func() (bool, error) {
			got, err := f.Validated(bg, a.SID, a.ClientSecret)
			return got != Proven{}, err
		},
		"Finish": func() (bool, error) { return false, f.Finish(bg, a, Completed) },
		"Await":  func() (bool, error) { got, err := f.Await(bg, ask()); return got != "", err },
		"Callback": func() (bool, error) {
			got, err := f.Callback(bg, nonce, ask().ThreePID)
			return got != Opened{}, err
		},
		"Settle":  func() (bool, error) { got, err := f.Settle(bg, nonce, false); return got != Opened{}, err },
		"Adopt":   func() (bool, error) { return false, f.Adopt(bg, "sid", nonce, ask()) },
		"Adopted": func() (bool, error) { got, err := f.Adopted(bg, "sid", "secret", threepid.Add); return got != "", err },
	} {
		told, err := call()
		if err == nil || told || errors.Is(err, ErrNotValidated) || errors.Is(err, ErrNoSession) || errors.Is(err, ErrUnknownNonce) {
			t.Errorf("%s on a closed store: %v, and tells something: %v", name, err, told)
		}
	}
	if len(f.watcher.seen) != before {
		t.Errorf("transitions: %v", f.watcher.seen)
	}
}
