// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// mostCodes is how many wrong codes may be compared for an address and a purpose in
// 24 hours (NIST SP 800-63B, 5.2.2).
const mostCodes = 100

// byPhone makes a request one about a number.
func byPhone(r *Request) { r.Medium, r.Address, r.Proof = threepid.MSISDN, "447700900123", ProofCode }

// coded are requests whose proof is a code.
var coded = map[string]func(*Request){"email": proof(ProofCode), "phone": byPhone}

// wrong submits a wrong code to a session of its own, and reports whether it was
// compared.
func (f *fixture) wrong(n int, change ...func(*Request)) bool {
	f.Helper()
	sid := f.open(ask(append(change, secret(fmt.Sprint("guess", n)))...)).SID
	return f.compared(sid, "000000x")
}

// compared submits a token, and reports whether it was compared and was wrong.
func (f *fixture) compared(sid threepid.SID, token threepid.Token) bool {
	f.Helper()
	_, err := f.Submit(bg, Submission{SID: sid, Token: token})
	if err != nil && !errors.Is(err, ErrTokenIncorrect) && !errors.Is(err, ErrRevoked) {
		f.Fatalf("Submit: %v", err)
	}
	return errors.Is(err, ErrTokenIncorrect)
}

// exhaust submits wrong codes until no more are compared, and returns how many were.
func (f *fixture) exhaust(change ...func(*Request)) (compared int) {
	f.Helper()
	for f.wrong(compared, change...) {
		if compared++; compared > 10*mostCodes {
			f.Fatalf("there is no end to wrong codes")
		}
	}
	return compared
}

// right opens a session and submits its code.
func (f *fixture) right(name string, change ...func(*Request)) error {
	f.Helper()
	sid := f.open(ask(append(change, secret(name))...)).SID
	_, err := f.Submit(bg, Submission{SID: sid, Token: f.outbox.last(f).Token})
	return err
}

// TestWrongCodesCountForTheAddress: over sessions, and for nothing else: not for
// another purpose or address, and not for the link that its owner has.
func TestWrongCodesCountForTheAddress(t *testing.T) {
	for name, code := range coded {
		f := newFixture(t)
		if got := f.exhaust(code); got == 0 || got > mostCodes {
			t.Errorf("%s: got %d wrong codes compared, want %d at most", name, got, mostCodes)
		}
		wantErr(t, name+": the right code", f.right("right", code), ErrRevoked)
		wantErr(t, name+": another purpose", f.right("add", code, purpose(threepid.Add)), nil)
		wantErr(t, name+": a link", f.right("link", code, proof(ProofLink)), nil)
		other := mailbox("bob@example.com")
		if name == "phone" {
			other = mailbox("447700900124")
		}
		wantErr(t, name+": another address", f.right("other", code, other), nil)
		// It is not for ever.
		f.clock.Advance(time.Hour)
		wantErr(t, name+": the right code after an hour", f.right("later", code), nil)
		f.clock.Advance(24 * time.Hour)
		if got := f.exhaust(code, attempt(2)); got < 10 {
			t.Errorf("%s: got %d wrong codes compared after a day, want some", name, got)
		}
	}
}

// TestWrongCodesInAnyDay: whoever tries all the time has no more than that in any
// 24 hours, wherever they begin.
func TestWrongCodesInAnyDay(t *testing.T) {
	for name, code := range coded {
		f := newFixture(t)
		var at []time.Time
		for n := range 3 * 24 * 6 { // one in ten minutes, and a hundred at once now and then
			for burst := range 1 + 100*(1-min(1, n%97)) {
				if f.wrong(n*1000+burst, code) {
					at = append(at, f.clock.Now())
				}
			}
			f.clock.Advance(10 * time.Minute)
		}
		for i := mostCodes; i < len(at); i++ {
			if day := at[i].Sub(at[i-mostCodes]); day < 24*time.Hour {
				t.Errorf("%s: %d wrong codes were compared within %v", name, mostCodes+1, day)
			}
		}
		if len(at) <= mostCodes {
			t.Errorf("%s: got %d compared in three days, want more", name, len(at))
		}
	}
}

// TestWrongCodesAreRemembered when the server is started again, by the other node,
// and when the keys are changed.
func TestWrongCodesAreRemembered(t *testing.T) {
	for name, code := range coded {
		f := newFixture(t)
		for n := range 10 {
			f.wrong(-1-n, code)
		}
		f.rotate()
		again, err := NewService(f.cfg)
		if err != nil {
			t.Fatal(err)
		}
		f.Service = again
		if got := f.exhaust(code); got > mostCodes/2-10 {
			t.Errorf("%s: got %d more compared, want %d at most", name, got, mostCodes/2-10)
		}
		f.rotate()
		wantErr(t, name+": the right code", f.right("right", code), ErrRevoked)
	}
}

// TestRightCodesCostNothing, nor do those that nobody has compared.
func TestRightCodesCostNothing(t *testing.T) {
	f := newFixture(t)
	code := proof(ProofCode)
	ended := f.open(ask(code, secret("ended"))).SID
	if err := f.RevokeSession(bg, ended); err != nil {
		t.Fatal(err)
	}
	confirmed := f.open(ask(code, secret("confirmed"))).SID
	f.confirm(confirmed, f.outbox.last(t).Token)
	own := threepid.ClientSecret("another")
	open := f.open(ask(code, secret("own"))).SID
	for n := range 2 * mostCodes {
		wantErr(t, "a right code", f.right(fmt.Sprint(n), code), nil)
		_, err := f.Submit(bg, Submission{SID: ended, Token: "1"})
		wantErr(t, "one for a session that has ended", err, ErrRevoked)
		_, err = f.Submit(bg, Submission{SID: confirmed, Token: "1"})
		wantErr(t, "one for a session that is confirmed", err, ErrTokenIncorrect)
		_, err = f.Submit(bg, Submission{SID: open, Token: "1", ClientSecret: &own})
		wantErr(t, "one with another's secret", err, ErrNoSession)
	}
	if got := f.entries(kindLimit); got != 0 {
		t.Errorf("got %d counts left, want none", got)
	}
}

// TestConcurrentWrongCodes: as many are compared as are allowed, in one session and
// in many, at two nodes.
func TestConcurrentWrongCodes(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxTries = 1000 })
	other, err := NewService(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	one := f.open(ask(proof(ProofCode))).SID
	var compared atomic.Int64
	var wg sync.WaitGroup
	for n := range 3 * mostCodes {
		sid := one
		if n%2 == 0 {
			sid = f.open(ask(proof(ProofCode), secret(fmt.Sprint(n)))).SID
		}
		node := []*Service{f.Service, other}[n%4/2]
		wg.Go(func() {
			if _, err := node.Submit(bg, Submission{SID: sid, Token: "wrong"}); errors.Is(err, ErrTokenIncorrect) {
				compared.Add(1)
			}
		})
	}
	wg.Wait()
	if got := compared.Load(); got == 0 || got > mostCodes {
		t.Errorf("got %d compared, want %d at most", got, mostCodes)
	}
}

// TestCodesThatNobodyCompares are not counted for the address, nor refused for those
// that were: of a session that has expired, and of one that is confirmed meanwhile.
func TestCodesThatNobodyCompares(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.SessionLifetime, c.TokenLifetime = time.Hour, time.Hour })
	code := proof(ProofCode)
	ended := f.open(ask(code, secret("ended"))).SID
	f.clock.Advance(time.Hour)
	f.exhaust(code)
	_, err := f.Submit(bg, Submission{SID: ended, Token: "1"})
	wantErr(t, "for a session that has expired", err, ErrExpired)

	f = newFixture(t)
	sid := f.open(ask(code)).SID
	f.meanwhile(func() { f.confirm(sid, f.outbox.last(t).Token) })
	_, err = f.Submit(bg, Submission{SID: sid, Token: "1"})
	wantErr(t, "for a session that is confirmed meanwhile", err, ErrTokenIncorrect)
	if got := f.entries(kindLimit); got != 0 {
		t.Errorf("got %d counts, want none", got)
	}
	if wrong, ok := errors.AsType[*WrongTokenError](err); !ok || *wrong != (WrongTokenError{threepid.Register, threepid.Email}) || wrong.Error() != ErrTokenIncorrect.Error() {
		t.Errorf("got %#v, want to be told of which session", err)
	}
}

// TestCodesOfARefusedSessionCount: its client is told that they are wrong.
func TestCodesOfARefusedSessionCount(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(discreet, proof(ProofCode))).SID
	wantErr(t, "Refuse", f.Refuse(bg, sid, f.outbox.last(t).Refusal, false), nil)
	_, err := f.Submit(bg, guessing(sid, "wrong"))
	wantErr(t, "a wrong code", err, ErrTokenIncorrect)
	if got := f.entries(kindLimit); got != 1 {
		t.Errorf("got %d counts, want one", got)
	}
}

// TestForgetWrongCodes: the count is a trace of the address.
func TestForgetWrongCodes(t *testing.T) {
	f := newFixture(t)
	f.wrong(1, proof(ProofCode))
	if got := f.entries(kindLimit); got != 1 {
		t.Fatalf("got %d counts, want 1", got)
	}
	if _, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}); err != nil {
		t.Fatal(err)
	}
	if got := f.entries(kindLimit); got != 0 {
		t.Errorf("got %d counts left, want none", got)
	}
}
