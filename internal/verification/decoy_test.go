// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

func (f *fixture) decoy(req Request) Opened {
	f.Helper()
	nonce := f.await(req)
	got, err := f.Decoy(bg, nonce)
	if err != nil {
		f.Fatalf("Decoy: %v", err)
	}
	if settled := f.settle(nonce); settled != got {
		f.Errorf("Settle = %+v, want %+v", settled, got)
	}
	return got
}

// granted is decoy for a homeserver that agrees.
func (f *fixture) granted(req Request) Opened {
	f.Helper()
	nonce := f.await(req)
	f.callback(nonce, req)
	return f.settle(nonce)
}

func ways(f *fixture) map[string]func(Request) Opened {
	return map[string]func(Request) Opened{"granted": f.granted, "decoy": f.decoy}
}

// TestF15_DecoyIsAnOrdinarySession: what is stored differs in the flag, and in
// whether anybody has the token.
func TestF15_DecoyIsAnOrdinarySession(t *testing.T) {
	for _, kind := range []Proof{ProofLink, ProofCode} {
		records := map[string]Session{}
		for _, way := range []string{"granted", "decoy"} {
			f := newFixture(t)
			got := ways(f)[way](ask(purpose(threepid.Password), proof(kind)))
			m, s := f.outbox.last(t), *f.record(got.SID)
			decoy := way == "decoy"
			if !got.Sent || got.Decoy != decoy || s.Decoy != decoy || m.Decoy != decoy || (m.Token == "") != decoy || m.Refusal == "" {
				t.Errorf("%s: %+v, session decoy %v, message decoy %v with token %q", way, got, s.Decoy, m.Decoy, m.Token)
			}
			if len(s.Tokens) != 1 || s.Tokens[0].Hash == (hash{}) {
				t.Errorf("%s: tokens %v, want one", way, s.Tokens)
			}
			s.SID, s.Decoy, s.Tokens[0].Hash = "", false, hash{}
			records[way] = s
			a, err := f.Describe(bg, got.SID)
			if err != nil || a.Decoy != decoy || a.State != Pending || a.Sends != 1 {
				t.Errorf("%s: Describe = %+v, %v", way, a, err)
			}
			if word := map[bool]string{true: "decoy", false: "pending"}[decoy]; f.watcher.count("password email "+word) != 1 {
				t.Errorf("%s: transitions %v, want one to %q", way, f.watcher.seen, word)
			}
		}
		if fmt.Sprint(records["granted"]) != fmt.Sprint(records["decoy"]) {
			t.Errorf("proof %d: got records %+v and %+v, want the same", kind, records["granted"], records["decoy"])
		}
	}
}

// counted counts the accesses to a store: each Update that writes is one commit.
type counted struct {
	store.Store
	calls []string
}

func (c *counted) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	writes := 0
	err := c.Store.Update(ctx, p, func(txn store.Txn) error {
		writes = 0
		return fn(&countedTxn{txn, &writes})
	})
	c.calls = append(c.calls, fmt.Sprintf("update of %d", writes))
	return err
}

func (c *counted) View(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	c.calls = append(c.calls, "view")
	return c.Store.View(ctx, p, fn)
}

type countedTxn struct {
	store.Txn
	writes *int
}

func (t *countedTxn) Set(key string, value []byte, expires time.Time) error {
	*t.writes++
	return t.Txn.Set(key, value, expires)
}

// TestF15_DecoyCostsTheSame: as many reads, commits and writes, in the same
// order, whether it opens a session, repeats, sends again, or finds the outbox
// full.
func TestF15_DecoyCostsTheSame(t *testing.T) {
	calls := map[string][]string{}
	for _, way := range []string{"granted", "decoy"} {
		c := &counted{}
		f := newFixture(t, func(cfg *Config) {
			cfg.PerAddress = ratelimit.Limit{Burst: 100, Per: time.Hour}
			c.Store = cfg.Store.(*rerun).Store
			cfg.Store = c
		})
		open := ways(f)[way]
		for _, n := range []int64{1, 1, 2, 3} {
			open(ask(attempt(n)))
			c.calls = append(c.calls, "-")
		}
		f.outbox.refuse = fullError{}
		nonce := f.await(ask(attempt(4)))
		var err error
		if way == "decoy" {
			_, err = f.Decoy(bg, nonce)
		} else {
			_, err = f.Callback(bg, nonce, ask().ThreePID)
		}
		wantErr(t, "a full outbox", err, fullError{})
		_, err = f.Settle(bg, nonce, false)
		var busy *BusyError
		if !errors.As(err, &busy) || busy.RetryAfter() != 7*time.Second {
			t.Errorf("%s: Settle = %v, want what the outbox said", way, err)
		}
		calls[way] = c.calls
	}
	if !slices.Equal(calls["granted"], calls["decoy"]) || len(calls["decoy"]) < 20 {
		t.Errorf("got accesses\n%v\n%v\nwant the same", calls["granted"], calls["decoy"])
	}
}

type fullError struct{}

func (fullError) Error() string             { return "full" }
func (fullError) RetryAfter() time.Duration { return 7 * time.Second }

// TestDecoyFailsLikeTheCallback: a request that turned out to be no repetition.
func TestDecoyFailsLikeTheCallback(t *testing.T) {
	for _, way := range []string{"granted", "decoy"} {
		f := newFixture(t)
		req := ask(func(r *Request) { r.RepeatOnly = true })
		nonce := f.await(req)
		var limit *LimitError
		var err error
		if way == "decoy" {
			_, err = f.Decoy(bg, nonce)
		} else {
			_, err = f.Callback(bg, nonce, req.ThreePID)
		}
		if !errors.As(err, &limit) {
			t.Errorf("%s: got %v, want a limit", way, err)
		}
		if _, err := f.Settle(bg, nonce, false); !errors.As(err, &limit) || limit.RetryAfter != repeatDelay {
			t.Errorf("%s: Settle = %v, want the limit", way, err)
		}
	}
}

// TestDecoyHasNoRightToken: no code is right, not even the one that would have
// been sent, and the tries end like those of any session.
func TestDecoyHasNoRightToken(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxTries = 1_000_000 })
	sid := f.decoy(ask(proof(ProofCode))).SID
	for n := range 1_000_000 {
		if n%25_013 != 0 {
			continue // as many as may be wrong for an address at once stand for all
		}
		if _, err := f.Submit(bg, Submission{SID: sid, Token: threepid.Token(fmt.Sprintf("%06d", n))}); !errors.Is(err, ErrTokenIncorrect) {
			t.Fatalf("code %06d: %v", n, err)
		}
	}
	if _, err := f.Submit(bg, Submission{SID: sid, Token: ""}); !errors.Is(err, ErrTokenIncorrect) {
		t.Errorf("the token of its message: %v", err)
	}
	f = newFixture(t, func(c *Config) { c.MaxTries = 3 })
	sid = f.decoy(ask()).SID
	for n, want := range []error{ErrTokenIncorrect, ErrTokenIncorrect, ErrTokenIncorrect, ErrRevoked} {
		if _, err := f.Submit(bg, Submission{SID: sid, Token: "x"}); !errors.Is(err, want) {
			t.Errorf("try %d: %v, want %v", n+1, err, want)
		}
	}
	if f.claim(completes(sid)).Live {
		t.Error("a decoy completes")
	}
}

// TestDecoyTokenIsDrawnAndToldToNobody: it is 256 bits of the randomness that was
// drawn, for a code too, the first time and when the operator sends it again; and
// none that anybody is shown.
func TestDecoyTokenIsDrawnAndToldToNobody(t *testing.T) {
	for _, kind := range []Proof{ProofLink, ProofCode} {
		var drawn bytes.Buffer
		f := newFixture(t, func(c *Config) { c.Random = io.TeeReader(c.Random, &drawn) })
		sid := f.decoy(ask(proof(kind))).SID
		for send := range 2 {
			tokens, token := f.record(sid).Tokens, ""
			for i := range drawn.Len() - 31 {
				text := base64.RawURLEncoding.EncodeToString(drawn.Bytes()[i : i+32])
				if f.tokenHash(sid, threepid.Token(text)) == tokens[len(tokens)-1].Hash {
					token = text
				}
			}
			if shown := fmt.Sprintf("%+v", f.outbox.last(t)); token == "" || strings.Contains(shown, token) {
				t.Errorf("proof %d, send %d: the token is %q, want one that was drawn, and not in %s", kind, send+1, token, shown)
			}
			drawn.Reset()
			wantErr(t, "Resend", f.Resend(bg, sid), nil)
		}
	}
}

// TestDecoyAndSessionContinueEachOther: the homeserver may decide otherwise the
// next time. A token works if and only if it has agreed to it.
func TestDecoyAndSessionContinueEachOther(t *testing.T) {
	f := newFixture(t)
	first := f.decoy(ask())
	second := f.granted(ask(attempt(2)))
	if second.SID != first.SID || !second.Sent {
		t.Errorf("got %+v, want another message of session %s", second, first.SID)
	}
	token := f.outbox.last(t).Token
	third := f.decoy(ask(attempt(3)))
	if third.SID != first.SID || f.outbox.last(t).Token != "" || !f.record(third.SID).Decoy {
		t.Errorf("got %+v, want a decoy of session %s", third, first.SID)
	}
	f.confirm(first.SID, token)
	if !f.claim(completes(first.SID)).Live {
		t.Error("the token that the homeserver has agreed to does not complete")
	}
}

// TestDecoyStaysOneWhenResent by the operator, and can be refused like any other.
func TestDecoyStaysOneWhenResent(t *testing.T) {
	f := newFixture(t)
	sid := f.decoy(ask(proof(ProofCode))).SID
	if err := f.Resend(bg, sid); err != nil {
		t.Fatal(err)
	}
	m := f.outbox.last(t)
	if len(f.outbox.messages()) != 2 || !m.Decoy || m.Token != "" {
		t.Errorf("the second of %d messages is %+v, want a notice", len(f.outbox.messages()), m)
	}
	if err := f.Refuse(bg, sid, m.Refusal, false); err != nil {
		t.Fatal(err)
	}
	_, err := f.Await(bg, ask(secret("another")))
	var limit *LimitError
	if !errors.As(err, &limit) || f.record(sid).State != Revoked {
		t.Errorf("after the refusal: %v and state %v, want the address to cool down", err, f.record(sid).State)
	}
}

// TestDecoyAfterCallback: a homeserver that called back and refuses all the same
// has opened the session already.
func TestDecoyAfterCallback(t *testing.T) {
	f := newFixture(t)
	nonce := f.await(ask())
	first := f.callback(nonce, ask())
	got, err := f.Decoy(bg, nonce)
	if err != nil || got.SID != first.SID || got.Sent || got.Decoy || len(f.outbox.messages()) != 1 {
		t.Errorf("Decoy = %+v, %v, want the session %s", got, err, first.SID)
	}
	_, err = f.Decoy(bg, "zz")
	wantErr(t, "Decoy of no nonce", err, ErrUnknownNonce)
}

// TestOneExplanationADay, for each address and purpose; the one stays it however
// often it is tried, and leaves the day to another if it cannot be sent.
func TestOneExplanationADay(t *testing.T) {
	f := newFixture(t)
	var messages []Message
	for i := range 3 {
		f.decoy(ask(secret(fmt.Sprint("s", i))))
		messages = append(messages, f.outbox.last(t))
	}
	expect := func(when string, m Message, want bool) {
		t.Helper()
		if got, err := f.Explain(bg, m); err != nil || got != want {
			t.Errorf("%s: Explain = %v, %v, want %v", when, got, err, want)
		}
	}
	note := func(m Message, sent bool) {
		t.Helper()
		if err := f.Explained(bg, m, sent); err != nil {
			t.Fatal(err)
		}
	}
	expect("first", messages[0], true)
	expect("second, while the first waits", messages[1], false)
	expect("first again", messages[0], true)
	note(messages[0], false)
	expect("second, after the first has failed", messages[1], true)
	note(messages[1], true)
	expect("third", messages[2], false)
	var rec explained
	err := f.store.View(bg, limitsPartition, func(txn store.Txn) error {
		_, err := kindExplained.First(txn, f.keys, f.explainedNames(threepid.Register, mailboxOf(ask().ThreePID)), &rec)
		return err
	})
	if err != nil || rec.Message != messages[1].ID || !rec.Sent {
		t.Errorf("noted is %+v, %v, want the second, and that it was sent", rec, err)
	}
	other := messages[2]
	other.Purpose = threepid.Add
	expect("another purpose", other, true)
	other = messages[2]
	other.Address = "bob@example.com"
	expect("another address", other, true)
	f.clock.Advance(23 * time.Hour)
	expect("the same day", messages[2], false)
	f.clock.Advance(time.Hour)
	f.decoy(ask(secret("next day")))
	next := f.outbox.last(t)
	expect("the next day", next, true)
	f.clock.Advance(2 * time.Hour)
	f.decoy(ask(secret("later")))
	expect("after one that was never sent", f.outbox.last(t), true)
	if n := f.entries(kindExplained); n == 0 {
		t.Fatal("this test no longer sees the notes")
	}
	if _, err := f.Forget(bg, ask().ThreePID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "bob@example.com"}); err != nil {
		t.Fatal(err)
	}
	if n := f.entries(kindExplained); n != 0 {
		t.Errorf("%d notes are left of forgotten addresses", n)
	}
}
