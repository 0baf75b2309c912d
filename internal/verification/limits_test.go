// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func from(client string) func(*Request) {
	return func(r *Request) { r.Client = netip.MustParseAddr(client) }
}

// refusedBy is which limit has refused, or "" if none did.
func refusedBy(t *testing.T, err error) ratelimit.Kind {
	t.Helper()
	if limit, ok := errors.AsType[*LimitError](err); ok {
		if limit.RetryAfter <= 0 {
			t.Errorf("got a wait of %s, want a positive one", limit.RetryAfter)
		}
		return limit.Limit
	}
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

// TestF21_LimitsBySubject: for each limit, what is the same subject, and what
// is another one.
func TestF21_LimitsBySubject(t *testing.T) {
	one := ratelimit.Limit{Burst: 1, Per: time.Hour}
	token := func(s string) func(*Request) { return func(r *Request) { r.AccessToken = threepid.AccessToken(s) } }
	uia := func(s string) func(*Request) { return func(r *Request) { r.UIA = threepid.UIASession(s) } }
	domain := func(s string) func(*Request) { return func(r *Request) { r.Domain = s } }
	phone := func(r *Request) { r.Medium, r.Address, r.Proof = threepid.MSISDN, "447700900123", ProofCode }
	for _, tt := range []struct {
		kind               ratelimit.Kind
		set                func(*Config)
		first, same, other func(*Request)
	}{
		{LimitAddress, func(c *Config) { c.PerAddress = one }, mailbox("a.b@gmail.com"), mailbox("ab+x@googlemail.com"), mailbox("c@gmail.com")},
		{LimitClient, func(c *Config) { c.Client = one }, from("192.0.2.1"), from("::ffff:192.0.2.1"), from("192.0.2.2")},
		{LimitClient, func(c *Config) { c.Client = one }, from("2001:db8:0:1::1"), from("2001:db8:0:1:ffff::2"), from("2001:db8:0:2::1")},
		{LimitClient, func(c *Config) { c.Client = one }, from("fe80::1%eth0"), from("fe80::2%eth1"), func(*Request) {}},
		{LimitDomain, func(c *Config) { c.Domain = one }, domain("example.co.uk"), domain("example.co.uk"), domain("example2.co.uk")},
		{LimitDomain, func(c *Config) { c.Domain = one }, domain("example.org"), domain("example.org"), phone},
		{LimitUser, func(c *Config) { c.User = one }, token("t1"), token("t1"), token("t2")},
		{LimitUser, func(c *Config) { c.User = one }, token("t1"), token("t1"), token("")},
		{LimitUIA, func(c *Config) { c.UIA = one }, uia("s1"), uia("s1"), uia("s2")},
		{LimitMessages, func(c *Config) { c.Messages = one }, func(*Request) {}, mailbox("b@other.example"), phone},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			f := newFixture(t, tt.set)
			n := 0
			try := func(change func(*Request)) ratelimit.Kind {
				n++
				_, err := f.RequestToken(bg, ask(secret(fmt.Sprint("s", n)), change))
				return refusedBy(t, err)
			}
			if got := try(tt.first); got != "" {
				t.Fatalf("the first request was refused by %s", got)
			}
			if got := try(tt.same); got != tt.kind {
				t.Errorf("got the same subject refused by %q, want %q", got, tt.kind)
			}
			if got := try(tt.other); got != "" {
				t.Errorf("got another subject refused by %q", got)
			}
			f.clock.Advance(time.Hour)
			if got := try(tt.same); got != "" {
				t.Errorf("got a refusal by %q after the time of the limit", got)
			}
		})
	}
}

// TestF21_RefusalCountsNowhere: a request that one limit refuses leaves the
// others as they were.
func TestF21_RefusalCountsNowhere(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerAddress, c.Client = ratelimit.Limit{Burst: 1, Per: time.Hour}, ratelimit.Limit{Burst: 2, Per: time.Hour}
	})
	f.open(ask(from("192.0.2.1")))
	for i := range 20 {
		_, err := f.RequestToken(bg, ask(from("192.0.2.1"), secret(fmt.Sprint(i))))
		if got := refusedBy(t, err); got != LimitAddress {
			t.Fatalf("got refused by %q, want by the address", got)
		}
	}
	f.open(ask(from("192.0.2.1"), mailbox("bob@example.com")))
}

// TestF8_F21_RepetitionsAreCheap: a client that repeats what it has asked for is
// counted, but does not use up its user's next message.
func TestF8_F21_RepetitionsAreCheap(t *testing.T) {
	hour := ratelimit.Limit{Burst: 2, Per: time.Hour}
	f := newFixture(t, func(c *Config) { c.PerAddress, c.Client, c.Messages = hour, hour, hour })
	f.open(ask(from("192.0.2.1")))
	passed := 0
	for {
		_, err := f.RequestToken(bg, ask(from("192.0.2.1")))
		if refusedBy(t, err) != "" {
			break
		}
		passed++
	}
	if passed != repeatShare {
		t.Errorf("got %d repetitions let through, want %d, as many as one message is worth", passed, repeatShare)
	}
	if got := len(f.outbox.messages()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
	// Nothing of that was taken from what the server may send.
	f.open(ask(granted, from("198.51.100.9"), mailbox("bob@example.net")))
	_, err := f.RequestToken(bg, ask(granted, from("203.0.113.8"), mailbox("eve@example.net")))
	if got := refusedBy(t, err); got != LimitMessages {
		t.Errorf("got refused by %q, want by the budget", got)
	}
}

// TestF21_BudgetCountsOnlyWhatIsSent: what the homeserver refuses, and what
// cannot be queued, is given back.
func TestF21_BudgetCountsOnlyWhatIsSent(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 1, Per: time.Hour} })
	for i := range 3 { // the homeserver refuses: no callback
		nonce, err := f.Await(bg, ask(secret(fmt.Sprint("r", i))))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := f.Settle(bg, nonce, false); err != nil {
			t.Fatal(err)
		}
	}
	f.outbox.refuse = errors.New("full")
	for range 3 {
		if _, err := f.RequestToken(bg, ask()); !errors.Is(err, f.outbox.refuse) {
			t.Fatalf("got %v, want the outbox's error", err)
		}
	}
	f.outbox.refuse = nil
	nonce, err := f.Await(bg, ask())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Callback(bg, nonce, ask().ThreePID); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Settle(bg, nonce, false); err != nil || !got.Sent {
		t.Fatalf("Settle = %+v, %v, want it sent", got, err)
	}
	_, err = f.Await(bg, ask(secret("more")))
	if got := refusedBy(t, err); got != LimitMessages {
		t.Errorf("got refused by %q, want by the budget", got)
	}
}

// TestF21_NodesShareLimits: two nodes over one store, and a node that is
// started again, count as one.
func TestF21_NodesShareLimits(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Client = ratelimit.Limit{Burst: 4, Per: time.Hour} })
	other, err := NewService(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, node := range []*Service{f.Service, other, f.Service, other} {
		if _, err := node.RequestToken(bg, ask(from("192.0.2.1"), secret(fmt.Sprint(i)))); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	again, err := NewService(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []*Service{f.Service, other, again} {
		_, err := node.RequestToken(bg, ask(from("192.0.2.1"), secret("more")))
		if got := refusedBy(t, err); got != LimitClient {
			t.Errorf("got refused by %q, want by the client's limit", got)
		}
	}
}

// TestF21_ConcurrentNodesPassExactlyTheBurst is the same at one moment, with
// all limits on.
func TestF21_ConcurrentNodesPassExactlyTheBurst(t *testing.T) {
	const burst = 13
	f := newFixture(t, func(c *Config) {
		many := ratelimit.Limit{Burst: 1000, Per: time.Hour}
		c.PerAddress, c.Domain, c.UIA, c.Messages = many, many, many, many
		c.Client = ratelimit.Limit{Burst: burst, Per: time.Hour}
	})
	other, err := NewService(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	nodes := []*Service{f.Service, other}
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, err := nodes[i%2].RequestToken(bg, ask(from("192.0.2.1"), secret(fmt.Sprint(i)), mailbox(fmt.Sprintf("a%d@example.com", i))))
			var limit *LimitError
			switch {
			case err == nil:
				passed.Add(1)
			case errors.As(err, &limit):
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != burst || refused.Load() != 100-burst {
		t.Errorf("got %d passed and %d refused, want %d and %d", passed.Load(), refused.Load(), burst, 100-burst)
	}
	if got := len(f.outbox.messages()); got != burst {
		t.Errorf("got %d messages, want %d", got, burst)
	}
}

// TestF21_ClockSetBack: nobody is locked out for longer than the limit's time.
func TestF21_ClockSetBack(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Client = ratelimit.Limit{Burst: 1, Per: time.Minute} })
	f.open(ask(from("192.0.2.1")))
	f.clock.Advance(-48 * time.Hour)
	_, err := f.RequestToken(bg, ask(from("192.0.2.1"), secret("b")))
	var limit *LimitError
	if !errors.As(err, &limit) || limit.RetryAfter > time.Minute {
		t.Fatalf("got %v, want to be told to wait for a minute at most", err)
	}
}

// TestF21_WrongTokensAreLimitedPerClient: somebody with many sessions has few
// tries in each, but must not have many in all. A right token costs nothing.
func TestF21_WrongTokensAreLimitedPerClient(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Guesses = ratelimit.Limit{Burst: 3, Per: time.Hour} })
	client := netip.MustParseAddr("2001:db8::1")
	submit := func(n int, token threepid.Token, client netip.Addr) error {
		opened := f.open(ask(secret(fmt.Sprint(n)), proof(ProofCode)))
		if token == "" {
			token = f.outbox.last(t).Token
		}
		_, err := f.Submit(bg, Submission{SID: opened.SID, Token: token, Client: client})
		return err
	}
	for n := range 10 {
		if err := submit(n, "", client); err != nil {
			t.Fatalf("the right token was refused: %v", err)
		}
	}
	for n := range 3 {
		wantErr(t, "a wrong token", submit(100+n, "wrong", client), ErrTokenIncorrect)
	}
	near := netip.MustParseAddr("2001:db8::2")
	for n, token := range []string{"wrong", ""} { // a right one is not compared any more
		if got := refusedBy(t, submit(200+n, threepid.Token(token), near)); got != LimitGuesses {
			t.Errorf("got refused by %q, want by the limit of guesses", got)
		}
	}
	if err := submit(300, "", netip.MustParseAddr("2001:db8:1::1")); err != nil {
		t.Errorf("another client was refused: %v", err)
	}
	if err := submit(301, "", netip.Addr{}); err != nil {
		t.Errorf("a client without an address was refused: %v", err)
	}
	f.clock.Advance(20 * time.Minute)
	if err := submit(302, "", client); err != nil {
		t.Errorf("refused after a third of the time: %v", err)
	}
}

// TestF21_ConcurrentGuesses: as many are compared as are allowed.
func TestF21_ConcurrentGuesses(t *testing.T) {
	const burst = 5
	f := newFixture(t, func(c *Config) { c.Guesses, c.MaxTries = ratelimit.Limit{Burst: burst, Per: time.Hour}, 1000 })
	sid := f.open(ask(proof(ProofCode))).SID
	var compared atomic.Int64
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			_, err := f.Submit(bg, Submission{SID: sid, Token: "wrong", Client: netip.MustParseAddr("192.0.2.1")})
			if errors.Is(err, ErrTokenIncorrect) {
				compared.Add(1)
			}
		})
	}
	wg.Wait()
	if got := compared.Load(); got != burst {
		t.Errorf("got %d tokens compared, want %d", got, burst)
	}
}

// granted makes a request for a reset that the homeserver decides about.
func granted(r *Request) { r.Purpose, r.Granting = threepid.Password, true }

// TestNobodyIsMailedWhoHasNoAccount, if somebody asks for a reset, unless the operator
// wishes so: it would be a mail to a stranger.
func TestNobodyIsMailedWhoHasNoAccount(t *testing.T) {
	for _, wished := range []bool{false, true} {
		f := newFixture(t, func(c *Config) { c.ExplainResets = wished })
		for purpose, want := range map[threepid.Purpose]bool{threepid.Password: wished, threepid.Register: true, threepid.Add: true} {
			got, err := f.Explain(bg, Message{ID: "m", Purpose: purpose, Medium: threepid.Email, Address: "a@x.example", Decoy: true, Expires: f.clock.Now().Add(time.Hour)})
			if got != want || err != nil {
				t.Errorf("explain_resets %v, %s: got %v, %v", wished, purpose, got, err)
			}
		}
	}
}

// TestNoLimitOfMailboxesIsNone: neither that of before.
func TestNoLimitOfMailboxesIsNone(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerAddress, c.Mailboxes = ratelimit.Limit{Burst: 1, Per: time.Hour}, ratelimit.Mailboxes{Network: -1}
	})
	for n := range 5 {
		f.open(ask(secret(fmt.Sprint(n))))
	}
}
