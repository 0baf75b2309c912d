// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"regexp"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func (f *fixture) await(req Request) threepid.Nonce {
	f.Helper()
	nonce, err := f.Await(bg, req)
	if err != nil {
		f.Fatalf("Await: %v", err)
	}
	return nonce
}

func (f *fixture) callback(nonce threepid.Nonce, req Request) Opened {
	f.Helper()
	got, err := f.Callback(bg, nonce, req.ThreePID)
	if err != nil {
		f.Fatalf("Callback: %v", err)
	}
	return got
}

func (f *fixture) settle(nonce threepid.Nonce) Opened {
	f.Helper()
	got, err := f.Settle(bg, nonce, false)
	if err != nil {
		f.Fatalf("Settle: %v", err)
	}
	return got
}

// TestCallbackOpensOneSession: a nonce opens one session, sends one message,
// however often the homeserver calls, and ends with its request.
func TestCallbackOpensOneSession(t *testing.T) {
	f := newFixture(t)
	req := ask(purpose(threepid.Add), func(r *Request) { r.NextLink = "https://app.example/" })
	nonce := f.await(req)
	if !regexp.MustCompile(`^[0-9a-zA-Z_-]{24,255}$`).MatchString(string(nonce)) || f.Owns(threepid.SID(nonce)) {
		t.Errorf("nonce %q: out of grammar, or taken for a session", nonce)
	}
	if n := len(f.outbox.messages()); n != 0 {
		t.Fatalf("%d messages before the homeserver has decided", n)
	}
	first := f.callback(nonce, req)
	if !first.Sent || !f.Owns(first.SID) || f.record(first.SID) == nil {
		t.Fatalf("Callback = %+v, want a session that exists", first)
	}
	for range 3 {
		if again := f.callback(nonce, req); again.SID != first.SID || again.Sent {
			t.Errorf("Callback again = %+v, want sid %q and nothing sent", again, first.SID)
		}
	}
	if n := len(f.outbox.messages()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	if got := f.settle(nonce); got != first || f.entries(kindNonce) != 0 {
		t.Errorf("Settle = %+v, want %+v; %d nonces are left", got, first, f.entries(kindNonce))
	}
	_, err := f.Callback(bg, nonce, req.ThreePID)
	wantErr(t, "Callback after Settle", err, ErrUnknownNonce)
	if got := f.settle(nonce); got != (Opened{}) {
		t.Errorf("Settle again = %+v, want nothing", got)
	}
	if s := f.record(first.SID); s.Purpose != threepid.Add || s.NextLink != req.NextLink {
		t.Errorf("the session is for %q with next_link %q", s.Purpose, s.NextLink)
	}
	f.confirm(first.SID, f.outbox.last(t).Token)
	c := completes(first.SID, func(c *Completion) { c.Purpose = threepid.Add })
	if !f.claim(c).Live {
		t.Errorf("the client's own client_secret does not complete the session")
	}
	c.ClientSecret = threepid.ClientSecret(nonce)
	if f.claim(c).Live {
		t.Errorf("the nonce completes the session")
	}
}

// TestCallbackContinues: both ways of asking share one session and one
// send_attempt.
func TestCallbackContinues(t *testing.T) {
	f := newFixture(t)
	first := f.open(ask())
	for _, step := range []struct {
		attempt int64
		sent    bool
	}{{1, false}, {2, true}, {2, false}} {
		req := ask(attempt(step.attempt))
		nonce := f.await(req)
		got := f.callback(nonce, req)
		if got.SID != first.SID || got.Sent != step.sent {
			t.Errorf("send_attempt %d: Callback = %+v, want sid %q, sent %v", step.attempt, got, first.SID, step.sent)
		}
		if settled := f.settle(nonce); settled != got {
			t.Errorf("send_attempt %d: Settle = %+v, want %+v", step.attempt, settled, got)
		}
	}
	if again := f.open(ask(attempt(2))); again.SID != first.SID || again.Sent {
		t.Errorf("direct request afterwards = %+v", again)
	}
}

func TestCallbackRefusals(t *testing.T) {
	req := ask()
	tests := []struct {
		name    string
		prepare func(f *fixture, nonce threepid.Nonce) (threepid.Nonce, threepid.ThreePID)
	}{
		{"another address", func(_ *fixture, n threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			return n, threepid.ThreePID{Medium: threepid.Email, Address: "eve@example.com"}
		}},
		{"another medium", func(_ *fixture, n threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			return n, threepid.ThreePID{Medium: threepid.MSISDN, Address: req.Address}
		}},
		{"unknown nonce", func(_ *fixture, n threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			return n + "x", req.ThreePID
		}},
		{"empty nonce", func(*fixture, threepid.Nonce) (threepid.Nonce, threepid.ThreePID) { return "", req.ThreePID }},
		{"not a nonce", func(*fixture, threepid.Nonce) (threepid.Nonce, threepid.ThreePID) { return "zz", req.ThreePID }},
		{"the client's secret", func(*fixture, threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			return threepid.Nonce(req.ClientSecret), req.ThreePID
		}},
		{"a sid", func(f *fixture, _ threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			return threepid.Nonce(f.open(ask(secret("second"))).SID), req.ThreePID
		}},
		{"too late", func(f *fixture, n threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			f.clock.Advance(DefaultInFlight)
			return n, req.ThreePID
		}},
		{"settled", func(f *fixture, n threepid.Nonce) (threepid.Nonce, threepid.ThreePID) {
			f.settle(n)
			return n, req.ThreePID
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			nonce, id := tt.prepare(f, f.await(req))
			before := len(f.outbox.messages())
			got, err := f.Callback(bg, nonce, id)
			wantErr(t, "Callback", err, ErrUnknownNonce)
			if got != (Opened{}) || len(f.outbox.messages()) != before {
				t.Errorf("Callback = %+v, %d messages sent", got, len(f.outbox.messages())-before)
			}
		})
	}
}

func TestSettleWithoutCallback(t *testing.T) {
	f := newFixture(t)
	if got := f.settle(f.await(ask())); got != (Opened{}) {
		t.Errorf("Settle without a callback = %+v", got)
	}
	_, err := f.Settle(bg, "not a nonce", false)
	wantErr(t, "Settle of what is no nonce", err, ErrUnknownNonce)
	if n := len(f.outbox.messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// TestAdopted: the homeserver's own session answers to the client's secret,
// for the purpose it was opened for, for a day.
func TestAdopted(t *testing.T) {
	f := newFixture(t)
	req := ask(purpose(threepid.Password))
	if err := f.Adopt(bg, "hs-sid-1", "nonce-1", req); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		sid     threepid.SID
		secret  threepid.ClientSecret
		purpose threepid.Purpose
		want    string
	}{
		{"its own", "hs-sid-1", req.ClientSecret, threepid.Password, "nonce-1"},
		{"another secret", "hs-sid-1", "other", threepid.Password, ""},
		{"the nonce as secret", "hs-sid-1", "nonce-1", threepid.Password, ""},
		{"another purpose", "hs-sid-1", req.ClientSecret, threepid.Register, ""},
		{"another sid", "hs-sid-2", req.ClientSecret, threepid.Password, ""},
		{"empty sid", "", req.ClientSecret, threepid.Password, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := f.Adopted(bg, tt.sid, tt.secret, tt.purpose)
			want := error(nil)
			if tt.want == "" {
				want = ErrNoSession
			}
			wantErr(t, "Adopted", err, want)
			if got != threepid.Nonce(tt.want) {
				t.Errorf("Adopted = %q, want %q", got, tt.want)
			}
		})
	}
	f.clock.Advance(MaxLifetime - time.Second)
	if _, err := f.Adopted(bg, "hs-sid-1", req.ClientSecret, threepid.Password); err != nil {
		t.Errorf("just before a day is over: %v", err)
	}
	f.clock.Advance(time.Second)
	_, err := f.Adopted(bg, "hs-sid-1", req.ClientSecret, threepid.Password)
	wantErr(t, "after a day", err, ErrNoSession)
}
