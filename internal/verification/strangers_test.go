// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// community has the limits that there are unless told otherwise.
func community(c *Config) { c.Preset = ratelimit.Presets[ratelimit.Community] }

// TestARepetitionPaysUntilItIsOne: whoever ends the session while the homeserver decides
// has the next message counted that it opens.
func TestARepetitionPaysUntilItIsOne(t *testing.T) {
	f := newFixture(t, community)
	req := ask(from("2001:db8::1"), mailbox("victim@x.org"), func(r *Request) { r.Granting, r.Discreet = true, true })
	nonce := f.await(req)
	sid := f.callback(nonce, req).SID
	f.settle(nonce)
	f.clock.Advance(time.Minute)
	for i := range 60 {
		nonce, err := f.Await(bg, req) // the same attempt
		if err != nil {
			break
		}
		for k := range 5 {
			_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong", Client: netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%d", i+1, k+1))})
		}
		if opened, err := f.Callback(bg, nonce, req.ThreePID); err == nil {
			sid = opened.SID
		}
		_, _ = f.Settle(bg, nonce, false)
		f.clock.Advance(10 * time.Second)
	}
	if got := len(f.outbox.messages()); got > 5 {
		t.Errorf("one network has %d mails sent to one mailbox within ten minutes, want at most 5", got)
	}
}

// TestWhatOnlyRepeatsIsGivenBack, once that is certain.
func TestWhatOnlyRepeatsIsGivenBack(t *testing.T) {
	f := newFixture(t, community)
	req := ask(from("192.0.2.1"), func(r *Request) { r.Granting, r.Discreet = true, true })
	for range 20 {
		nonce, err := f.Await(bg, req)
		if err != nil {
			t.Fatal(err)
		}
		f.callback(nonce, req)
		f.settle(nonce)
	}
	if got := len(f.outbox.messages()); got != 1 {
		t.Errorf("got %d messages, want one", got)
	}
}

// TestWhatTheHomeserverWasNotAskedIsGivenBack: while it is down, nobody uses up what they
// may ask for.
func TestWhatTheHomeserverWasNotAskedIsGivenBack(t *testing.T) {
	f := newFixture(t, community)
	for n := range 20 {
		req := ask(from("192.0.2.1"), secret(fmt.Sprint(n)), granted)
		nonce, err := f.Await(bg, req)
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		if _, err := f.Settle(bg, nonce, true); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheOwnerIsKnownByWhereTheyHaveProven: strangers and neighbours may use up what is
// theirs; what the owner asks for from there is the owner's own, and keeps to the limit of
// one client.
func TestTheOwnerIsKnownByWhereTheyHaveProven(t *testing.T) {
	f := newFixture(t, community)
	const home = "192.0.2.1"
	sid := f.validated(ask(granted, from(home)))
	a := f.claim(completes(sid, func(c *Completion) { c.Client, c.Purpose = netip.MustParseAddr(home), threepid.Password }))
	f.proves(a)
	wantErr(t, "Finish", f.Finish(bg, a, Completed), nil)
	for n := range 300 {
		_, _ = f.RequestToken(bg, ask(granted, secret(fmt.Sprint("evil", n)), from(fmt.Sprintf("192.0.2.%d", 2+n%250))))
		_, _ = f.RequestToken(bg, ask(granted, secret(fmt.Sprint("evil too", n)), from(fmt.Sprintf("10.%d.0.1", n%250))))
	}
	if got := f.open(ask(granted, secret("owner"), from(home))); !got.Sent {
		t.Error("the owner has no mail")
	}
	passed := 0
	for n := range 200 { // other mailboxes that were proven there are no way around
		if _, err := f.RequestToken(bg, ask(granted, secret("x"), from(home), mailbox(fmt.Sprintf("a%d@x.org", n)))); err == nil {
			passed++
		}
	}
	if passed > ratelimit.Presets[ratelimit.Community].Client.Burst {
		t.Errorf("one client has %d messages", passed)
	}
}

// TestDomainsKeepAPart for registrations that have passed the stages before the mail, and
// close the gate when newcomers have had theirs.
func TestDomainsKeepAPart(t *testing.T) {
	f := newFixture(t, community)
	at := func(n int, change ...func(*Request)) error {
		req := ask(append(change, secret(fmt.Sprint(n)), from(fmt.Sprintf("10.%d.%d.1", n/250, n%250)), mailbox(fmt.Sprintf("a%d@gmail.com", n)), func(r *Request) { r.Domain = "gmail.com" })...)
		_, err := f.RequestToken(bg, req)
		return err
	}
	n := 0
	for at(n) == nil {
		n++
	}
	if !f.Dry() {
		t.Error("the gate stays open")
	}
	if err := at(n+1, func(r *Request) { r.Begun = true }); err != nil {
		t.Errorf("who has passed the captcha: %v", err)
	}
}

// TestWhatIsTakenBackIsGoneByEveryKey: what was counted before a change of keys, too.
func TestWhatIsTakenBackIsGoneByEveryKey(t *testing.T) {
	f := newFixture(t, community)
	req := ask(granted, from("192.0.2.1"))
	f.open(req)
	f.rotate()
	err := f.cfg.Store.Update(bg, limitsPartition, func(txn store.Txn) error {
		names := f.mailboxNames(mailboxOf(req.ThreePID))
		before, err := f.letters(txn, names)
		if err != nil || len(before.List) != 1 {
			t.Errorf("got %+v, %v, want the letter of before", before, err)
		}
		if err := f.changeLetters(txn, names, func(l *ratelimit.Letters) { l.Used(ratelimit.Asker{By: f.networkHashes(ratelimit.Wide(req.Client))}) }); err != nil {
			return err
		}
		after, err := f.letters(txn, names)
		if err != nil || len(after.List) != 0 {
			t.Errorf("got %+v, %v, want none", after, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
