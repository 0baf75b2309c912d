// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// verdicts are ways to submit a token, and what each is told.
var verdicts = []struct {
	name    string
	prepare func(f *fixture, sid threepid.SID, token threepid.Token) Submission
	want    error
}{
	{"right token, as from a link", func(_ *fixture, sid threepid.SID, token threepid.Token) Submission {
		return Submission{SID: sid, Token: token}
	}, nil},
	{"right token and client_secret", func(_ *fixture, sid threepid.SID, token threepid.Token) Submission {
		return Submission{SID: sid, Token: token, ClientSecret: new(ask().ClientSecret)}
	}, nil},
	{"wrong token", func(_ *fixture, sid threepid.SID, _ threepid.Token) Submission {
		return Submission{SID: sid, Token: "000000"}
	}, ErrTokenIncorrect},
	{"empty token", func(_ *fixture, sid threepid.SID, _ threepid.Token) Submission { return Submission{SID: sid} }, ErrTokenIncorrect},
	{"token of another session", func(f *fixture, sid threepid.SID, _ threepid.Token) Submission {
		f.open(ask(secret("second")))
		return Submission{SID: sid, Token: f.outbox.last(f).Token}
	}, ErrTokenIncorrect},
	{"wrong client_secret", func(_ *fixture, sid threepid.SID, token threepid.Token) Submission {
		return Submission{SID: sid, Token: token, ClientSecret: new(threepid.ClientSecret("other"))}
	}, ErrNoSession},
	{"sid that was never made", func(_ *fixture, sid threepid.SID, token threepid.Token) Submission {
		return Submission{SID: threepid.SID(strings.Repeat("0", len(sid))), Token: token}
	}, ErrNoSession},
	{"empty sid", func(_ *fixture, _ threepid.SID, token threepid.Token) Submission { return Submission{Token: token} }, ErrNoSession},
	{"token one millisecond before its end", func(f *fixture, sid threepid.SID, token threepid.Token) Submission {
		f.clock.Advance(DefaultTokenLifetime - time.Millisecond)
		return Submission{SID: sid, Token: token}
	}, nil},
	{"expired token", func(f *fixture, sid threepid.SID, token threepid.Token) Submission {
		f.clock.Advance(DefaultTokenLifetime)
		return Submission{SID: sid, Token: token}
	}, ErrExpired},
	{"expired session", func(f *fixture, sid threepid.SID, token threepid.Token) Submission {
		f.clock.Advance(24 * time.Hour)
		return Submission{SID: sid, Token: token}
	}, ErrExpired},
	{"session long gone", func(f *fixture, sid threepid.SID, token threepid.Token) Submission {
		f.clock.Advance(24 * 365 * time.Hour)
		return Submission{SID: sid, Token: token}
	}, ErrExpired},
	{"after too many tries", func(f *fixture, sid threepid.SID, token threepid.Token) Submission {
		for range DefaultMaxTries {
			_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
		}
		return Submission{SID: sid, Token: token}
	}, ErrRevoked},
}

// TestF5_Verdicts: what a submitted token is told.
func TestF5_Verdicts(t *testing.T) {
	for _, p := range []Proof{ProofLink, ProofCode} {
		for _, tt := range verdicts {
			t.Run(tt.name, func(t *testing.T) {
				f := newFixture(t)
				sid := f.open(ask(proof(p))).SID
				sub := tt.prepare(f, sid, f.outbox.last(t).Token)
				got, err := f.Submit(bg, sub)
				wantErr(t, "Submit", err, tt.want)
				if err != nil && got != (Confirmed{}) {
					t.Errorf("Submit tells %+v along with an error", got)
				}
				if s := f.record(sid); s != nil && (s.State == Validated) != (tt.want == nil) {
					t.Errorf("the session is %s", s.State)
				}
			})
		}
	}
}

// TestSubmitTells: what the page that thanks the reader is told, and that a
// second click is no error.
func TestSubmitTells(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(purpose(threepid.Add), func(r *Request) {
		r.NextLink, r.Language, r.Brand = "https://app.example/", "fr", "club"
	})).SID
	want := Confirmed{
		Purpose: threepid.Add, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}, NextLink: "https://app.example/",
		Language: "fr", Brand: "club", Proof: ProofLink, State: Validated, Delivery: Delivered, Asked: f.clock.Now().Local(),
	}
	token := f.outbox.last(t).Token
	for _, already := range []bool{false, true, true} {
		want.Already = already
		if got := f.confirm(sid, token); got != want {
			t.Errorf("Submit = %+v, want %+v", got, want)
		}
	}
	byCode := f.open(ask(purpose(threepid.Add), secret("by code"), proof(ProofCode))).SID
	if got := f.confirm(byCode, f.outbox.last(t).Token); got.Proof != ProofCode {
		t.Errorf("Submit of a code = %+v", got)
	}
	if n := f.watcher.count("add email validated"); n != 2 {
		t.Errorf("%d transitions to validated, want one of each session", n)
	}
	f.clock.Advance(DefaultTokenLifetime)
	if got := f.confirm(sid, token); got != want {
		t.Errorf("a click after the token's end = %+v, want %+v", got, want)
	}
	_, err := f.Submit(bg, Submission{SID: sid, Token: "wrong"})
	wantErr(t, "wrong token after the right one", err, ErrTokenIncorrect)
}

// TestTries: tries are counted over all messages of a session, the last one
// may still be right, and a revoked session stays revoked.
func TestTries(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxTries = 3 })
	sid := f.open(ask(proof(ProofCode))).SID
	wrong := Submission{SID: sid, Token: "wrong"}
	for range 2 {
		_, err := f.Submit(bg, wrong)
		wantErr(t, "wrong token", err, ErrTokenIncorrect)
	}
	f.open(ask(proof(ProofCode), attempt(2)))
	second := f.open(ask(proof(ProofCode), secret("second"))).SID
	f.confirm(second, f.outbox.last(t).Token)

	_, err := f.Submit(bg, wrong)
	wantErr(t, "the third wrong token", err, ErrTokenIncorrect)
	for _, m := range f.outbox.messages()[:2] {
		_, err = f.Submit(bg, Submission{SID: sid, Token: m.Token})
		wantErr(t, "right token of a revoked session", err, ErrRevoked)
		_, err = f.Inspect(bg, Submission{SID: sid, Token: m.Token})
		wantErr(t, "looking at a revoked session", err, ErrRevoked)
	}
	if n := f.watcher.count("register email revoked"); n != 1 {
		t.Errorf("%d transitions to revoked, want 1", n)
	}

	last := f.open(ask(secret("third"))).SID
	for range 2 {
		_, _ = f.Submit(bg, Submission{SID: last, Token: "wrong"})
	}
	f.confirm(last, f.outbox.last(t).Token)
}

// TestOlderTokens: any of the last four links works; of codes the newest only.
func TestOlderTokens(t *testing.T) {
	for p, alive := range map[Proof]int{ProofLink: 4, ProofCode: 1} {
		const sends = 6
		for i := range sends {
			f := newFixture(t)
			var sid string
			for n := range sends {
				sid = string(f.open(ask(proof(p), attempt(int64(n+1)))).SID)
			}
			want := ErrTokenIncorrect
			if i >= sends-alive {
				want = nil
			}
			_, err := f.Submit(bg, Submission{SID: threepid.SID(sid), Token: f.outbox.messages()[i].Token})
			if (err == nil) != (want == nil) {
				t.Errorf("proof %d, message %d of %d: %v, want %v", p, i+1, sends, err, want)
			}
		}
	}
}

// TestInspectChangesNothing: a mail scanner may open the link as often as it
// likes; nothing is written, and nothing is counted.
func TestInspectChangesNothing(t *testing.T) {
	for _, p := range []Proof{ProofLink, ProofCode} {
		f := newFixture(t)
		sid := f.open(ask(proof(p))).SID
		token := f.outbox.last(t).Token
		before := dump(t, f.cfg.Store)
		for range 2 * DefaultMaxTries {
			got, err := f.Inspect(bg, Submission{SID: sid, Token: token})
			if err != nil || got.Address != "alice@example.com" || got.State != Pending || got.Already {
				t.Fatalf("Inspect = %+v, %v", got, err)
			}
			_, err = f.Inspect(bg, Submission{SID: sid, Token: "wrong"})
			if want := map[Proof]error{ProofLink: ErrTokenIncorrect, ProofCode: nil}[p]; !errors.Is(err, want) {
				t.Fatalf("Inspect with a wrong token = %v, want %v", err, want)
			}
		}
		if after := dump(t, f.cfg.Store); !maps.Equal(before, after) {
			t.Errorf("proof %d: looking changed the store", p)
		}
		if got := f.confirm(sid, token); got.Already {
			t.Errorf("the session was confirmed by looking")
		}
	}
}

// TestInspectVerdicts: the page says the same as the button would.
func TestInspectVerdicts(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask()).SID
	token, other := f.outbox.last(t).Token, threepid.ClientSecret("other")
	look := func(what string, sub Submission, want error) {
		t.Helper()
		_, err := f.Inspect(bg, sub)
		wantErr(t, what, err, want)
	}
	look("unknown sid", Submission{SID: "00" + sid[2:], Token: token}, ErrNoSession)
	look("wrong client_secret", Submission{SID: sid, Token: token, ClientSecret: &other}, ErrNoSession)
	for _, own := range []*threepid.ClientSecret{new(ask().ClientSecret), nil} {
		got, err := f.Inspect(bg, Submission{SID: sid, Token: "wrong", ClientSecret: own})
		if !errors.Is(err, ErrTokenIncorrect) || (got.Address != "") != (own != nil) {
			t.Errorf("a wrong token, with the client_secret %v: got %+v, %v", own != nil, got, err)
		}
	}
	f.clock.Advance(DefaultTokenLifetime)
	look("expired token", Submission{SID: sid, Token: token}, ErrExpired)
	f.open(ask(attempt(2)))
	fresh := f.outbox.last(t).Token
	f.confirm(sid, fresh)
	look("expired token of a validated session", Submission{SID: sid, Token: token}, nil)
	if got, _ := f.Inspect(bg, Submission{SID: sid, Token: fresh}); !got.Already || got.State != Validated {
		t.Errorf("Inspect of a validated session = %+v", got)
	}
	f.clock.Advance(24 * time.Hour)
	look("expired session", Submission{SID: sid, Token: fresh}, ErrExpired)
	f.clock.Advance(time.Hour)
	look("session long gone", Submission{SID: sid, Token: fresh}, ErrExpired)
}
