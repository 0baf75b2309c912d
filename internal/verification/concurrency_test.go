// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// together runs n functions that all start at the same moment.
func together(n int, fn func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// TestCompletesOnce: of 200 requests that complete one validated session at
// the same time, exactly one is accepted.
func TestCompletesOnce(t *testing.T) {
	for round := range 5 {
		f := newFixture(t)
		sid := f.validated(ask(purpose(threepid.Password)))
		var live, proven, failed atomic.Int32
		together(200, func(i int) {
			c := completes(sid, func(c *Completion) { c.Purpose, c.UIASession = threepid.Password, threepid.UIASession(fmt.Sprint(i)) })
			a, err := f.Claim(bg, c)
			if err != nil {
				failed.Add(1)
				return
			}
			if a.Live {
				live.Add(1)
			}
			_, err = f.Validated(bg, a.SID, a.ClientSecret)
			outcome := Refused
			if err == nil {
				proven.Add(1)
				outcome = Completed
			} else if !errors.Is(err, ErrNotValidated) {
				failed.Add(1)
			}
			if f.Finish(bg, a, outcome) != nil {
				failed.Add(1)
			}
		})
		if live.Load() != 1 || proven.Load() != 1 || failed.Load() != 0 {
			t.Errorf("round %d: %d live aliases, %d proofs, %d failures; want 1, 1, 0", round, live.Load(), proven.Load(), failed.Load())
		}
		if s := f.record(sid); s.State != Consumed || s.Claim != nil {
			t.Errorf("round %d: the session is %s, claim %v", round, s.State, s.Claim)
		}
		if n := f.watcher.count("password email consumed"); n != 1 {
			t.Errorf("round %d: %d transitions to consumed, want 1", round, n)
		}
	}
}

// TestRefusalsFreeTheSession: among many requests that are refused and one
// that is accepted, no two hold the session at the same time.
func TestRefusalsFreeTheSession(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	var holders, overlaps, accepted, refused atomic.Int32
	together(200, func(i int) {
		a, err := f.Claim(bg, completes(sid))
		if err != nil || !a.Live {
			return
		}
		if holders.Add(1) > 1 {
			overlaps.Add(1)
		}
		_, err = f.Validated(bg, a.SID, a.ClientSecret)
		outcome := Refused
		switch {
		case err != nil:
		case refused.Add(1) > 3:
			outcome = Completed
			accepted.Add(1)
		}
		holders.Add(-1)
		_ = f.Finish(bg, a, outcome)
	})
	if overlaps.Load() != 0 || accepted.Load() > 1 {
		t.Errorf("%d overlapping claims, %d accepted", overlaps.Load(), accepted.Load())
	}
	want := Validated
	if accepted.Load() == 1 {
		want = Consumed
	}
	if s := f.record(sid); s.State != want || s.Claim != nil {
		t.Errorf("the session is %s, claim %v, want %s and free", s.State, s.Claim, want)
	}
}

// TestGuessesAreAllCounted: concurrent guesses cannot share one count.
func TestGuessesAreAllCounted(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxTries = 7 })
	sid := f.open(ask(proof(ProofCode))).SID
	var wrong, revoked, other atomic.Int32
	together(200, func(int) {
		_, err := f.Submit(bg, Submission{SID: sid, Token: "wrong"})
		switch {
		case errors.Is(err, ErrTokenIncorrect):
			wrong.Add(1)
		case errors.Is(err, ErrRevoked):
			revoked.Add(1)
		default:
			other.Add(1)
		}
	})
	if wrong.Load() != 7 || revoked.Load() != 193 || other.Load() != 0 {
		t.Errorf("%d wrong, %d revoked, %d other; want 7, 193, 0", wrong.Load(), revoked.Load(), other.Load())
	}
	if s := f.record(sid); s.Tries != 7 || s.State != Revoked || len(s.Tokens) != 0 {
		t.Errorf("%d tries counted, session %s with %d tokens", s.Tries, s.State, len(s.Tokens))
	}
	if n := f.watcher.count("register email revoked"); n != 1 {
		t.Errorf("%d transitions to revoked, want 1", n)
	}
	_, err := f.Submit(bg, Submission{SID: sid, Token: f.outbox.last(t).Token})
	wantErr(t, "the right code afterwards", err, ErrRevoked)
}

// TestConfirmedOnce: many clicks on one link are one validation.
func TestConfirmedOnce(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	token := f.outbox.last(t).Token
	var first, again, failed atomic.Int32
	together(100, func(int) {
		got, err := f.Submit(bg, Submission{SID: sid, Token: token})
		switch {
		case err != nil:
			failed.Add(1)
		case got.Already:
			again.Add(1)
		default:
			first.Add(1)
		}
	})
	if first.Load() != 1 || again.Load() != 99 || failed.Load() != 0 {
		t.Errorf("%d validated, %d already, %d failed; want 1, 99, 0", first.Load(), again.Load(), failed.Load())
	}
	if s := f.record(sid); s.Tries != 1 {
		t.Errorf("%d tries were counted, want 1", s.Tries)
	}
}
