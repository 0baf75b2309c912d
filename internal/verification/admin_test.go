// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestDescribe: the operator sees how a session stands, and nothing that would
// let anybody act in its name or tell whose it is.
func TestDescribe(t *testing.T) {
	f := newFixture(t)
	opened := f.clock.Now()
	sid := f.open(ask(purpose(threepid.Password), func(r *Request) { r.Language, r.Brand = "de", "club" })).SID
	f.clock.Advance(time.Minute)
	f.open(ask(purpose(threepid.Password), attempt(2), func(r *Request) { r.Language, r.Brand = "fr", "club" }))
	_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong"})
	got, err := f.Describe(bg, sid)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Created.Equal(opened) || !got.Until.Equal(opened.Add(MaxLifetime)) {
		t.Errorf("created %v until %v, want %v and a day later", got.Created, got.Until, opened)
	}
	if !got.Asked.Equal(opened.Add(time.Minute)) {
		t.Errorf("asked at %v, want the time of the newest request", got.Asked)
	}
	got.Created, got.Until, got.Asked = time.Time{}, time.Time{}, time.Time{}
	want := Admin{
		SID: sid, Purpose: threepid.Password, Medium: threepid.Email, Pseudonym: f.Pseudonym("alice@example.com"), State: Pending,
		Delivery: Waiting, Sends: 2, Tries: 1, Language: "fr", Brand: "club",
	}
	if got != want {
		t.Errorf("Describe =\n%+v, want\n%+v", got, want)
	}
	m := f.outbox.last(t)
	for _, secret := range []string{"alice", string(m.Token), string(m.Refusal), "monkeys"} {
		if strings.Contains(fmt.Sprintf("%+v", got), secret) {
			t.Errorf("Describe tells %q", secret)
		}
	}
	for _, sid := range []string{"", "foreign", string(sid[:31] + "!")} {
		_, err := f.Describe(bg, threepid.SID(sid))
		wantErr(t, "Describe("+sid+")", err, ErrNoSession)
		wantErr(t, "RevokeSession("+sid+")", f.RevokeSession(bg, threepid.SID(sid)), ErrNoSession)
		wantErr(t, "Resend("+sid+")", f.Resend(bg, threepid.SID(sid)), ErrNoSession)
	}
}

// TestDescribeSettles: a completion whose process died is shown as it counts.
func TestDescribeSettles(t *testing.T) {
	f := newFixture(t)
	sid := f.validated(ask())
	f.proves(f.claim(completes(sid)))
	f.clock.Advance(DefaultInFlight)
	if got, err := f.Describe(bg, sid); err != nil || got.State != Consumed {
		t.Errorf("Describe = %+v, %v, want consumed", got, err)
	}
	wantErr(t, "RevokeSession", f.RevokeSession(bg, sid), ErrConsumed)
}

// TestFindByPseudonym: a log line of yesterday or today leads to the sessions
// of whom it speaks, and to nobody else's.
func TestFindByPseudonym(t *testing.T) {
	f := newFixture(t)
	yesterday := f.Pseudonym("alice@example.com")
	first := f.open(ask()).SID
	f.open(ask(mailbox("bob@example.com")))
	f.clock.Advance(23 * time.Hour) // the next day
	second := f.open(ask(secret("other"), purpose(threepid.Password))).SID
	today := f.Pseudonym("alice@example.com")
	if today == yesterday {
		t.Fatal("the pseudonym did not change overnight")
	}
	for _, name := range []string{yesterday, today} {
		got, err := f.FindByPseudonym(bg, name)
		if err != nil || len(got) != 2 || got[0].SID != second || got[1].SID != first {
			t.Fatalf("FindByPseudonym = %+v, %v, want %s and %s", got, err, second, first)
		}
		if got[0].Pseudonym != today || got[0].Delivery != Waiting {
			t.Errorf("found %+v, want today's pseudonym and a message that waits", got[0])
		}
	}
	f.clock.Advance(48 * time.Hour)
	for _, name := range []string{yesterday, "", "alice@example.com"} {
		if got, err := f.FindByPseudonym(bg, name); err != nil || len(got) != 0 {
			t.Errorf("FindByPseudonym(%q) = %+v, %v, want nothing", name, got, err)
		}
	}
	ended, cancel := context.WithCancel(bg)
	cancel()
	_, err := f.FindByPseudonym(ended, today)
	wantErr(t, "FindByPseudonym with an ended context", err, context.Canceled)
}

// TestResendKeepsTheLimit: the operator's resend counts like the client's.
func TestResendKeepsTheLimit(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 2, Per: time.Hour} })
	sid := f.open(ask(attempt(4), func(r *Request) { r.Brand, r.NextLink = "club", "https://app.example/" })).SID
	if err := f.Resend(bg, sid); err != nil {
		t.Fatal(err)
	}
	m := f.outbox.last(t)
	if threepid.SID(m.ID) != sid+".2" || m.Attempt != 4 || m.Brand != "club" || m.Address != "alice@example.com" {
		t.Errorf("the message is %+v", m)
	}
	var limit *LimitError
	if err := f.Resend(bg, sid); !errors.As(err, &limit) || limit.RetryAfter <= 0 {
		t.Errorf("the third within the hour: %v, want a limit", err)
	}
	f.clock.Advance(30 * time.Minute)
	if got := f.open(ask(attempt(5))); got.SID != sid || !got.Sent {
		t.Errorf("the client's next attempt = %+v, want another message", got)
	}
	if got := f.confirm(sid, m.Token); got.NextLink != "" && got.NextLink != "https://app.example/" {
		t.Errorf("confirmed %+v", got)
	}
	f.outbox.refuse = errors.New("the outbox is full")
	f.clock.Advance(30 * time.Minute)
	wantErr(t, "Resend with a full outbox", f.Resend(bg, sid), f.outbox.refuse)
}

// TestForget: afterwards nothing in the store knows of the address, and what is
// somebody else's is as it was.
func TestForget(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.PerAddress, c.Mailboxes = ratelimit.Limit{Burst: 50, Per: time.Hour}, ratelimit.Mailboxes{Network: 50, Strangers: 50}
		c.ExplainResets = true
	})
	life := func(address, client string) {
		sid := f.validated(ask(mailbox(address), secret("used by "+client)))
		used := f.claim(completes(sid, func(c *Completion) {
			c.ClientSecret, c.Client = threepid.ClientSecret("used by "+client), netip.MustParseAddr("192.0.2.1")
		}))
		f.proves(used)
		wantErr(t, "Finish", f.Finish(bg, used, Completed), nil)
		sid = f.validated(ask(mailbox(address), secret(client), func(r *Request) { r.Language = "de" }))
		f.proves(f.claim(completes(sid, func(c *Completion) { c.ClientSecret = threepid.ClientSecret(client) })))
		f.open(ask(mailbox(address), secret(client), purpose(threepid.Password), proof(ProofCode)))
		m := f.outbox.last(t)
		f.hold(ask(mailbox(address), secret("held "+client), held(threepid.UIASession("uia of "+client))))
		if _, err := f.Explain(bg, m); err != nil {
			t.Fatal(err)
		}
		f.replied(m, "no such user")
		if _, err := f.NoteOpen(bg, m); err != nil {
			t.Fatal(err)
		}
		if err := f.Notify(bg, Happened{}, []Reader{{address, NoticeGone}}); err != nil {
			t.Fatal(err)
		}
		f.await(ask(mailbox(address), secret(client), purpose(threepid.Add)))
		wantErr(t, "Adopt", f.Adopt(bg, threepid.SID("sid-of-"+client), "nonce", ask(mailbox(address), secret(client))), nil)
		if err := f.Refuse(bg, m.SID, m.Refusal, false); err != nil {
			t.Fatal(err)
		}
		for _, spelled := range []Binding{{Address: address}, {Address: strings.ToUpper(address), Validated: address}} {
			spelled.User, spelled.Medium, spelled.IDServer = "@user:example.com", threepid.Email, "id.example"
			if err := f.Bind(bg, spelled); err != nil {
				t.Fatal(err)
			}
		}
	}
	life("bob@example.com", "secret-of-bob")
	before := dump(t, f.cfg.Store)
	life("alice@example.com", "secret-of-alice")
	both := len(dump(t, f.cfg.Store))

	gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
	if err != nil || gone.Total() != both-len(before) {
		t.Errorf("Forget = %v, %v, want the %d entries that alice brought", gone, err, both-len(before))
	}
	if len(gone) != kindsOfAddresses {
		t.Errorf("got %v, want all %d kinds that can tell of an address", gone, kindsOfAddresses)
	}
	for name, n := range gone {
		if n == 0 {
			t.Errorf("there was nothing of %s, want some of each to be forgotten", name)
		}
	}
	f.wantStored(before)
	if gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"}); gone.Total() != 0 || err != nil {
		t.Errorf("Forget again = %v, %v", gone, err)
	}
	if gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.MSISDN, Address: "bob@example.com"}); gone.Total() != 0 || err != nil {
		t.Errorf("Forget of the same text as a number = %v, %v", gone, err)
	}
	f.open(ask()) // she may come back
}

// kindsOfAddresses is how many kinds can tell of an address.
const kindsOfAddresses = 17

// wantStored compares what is stored, but for the count of all that is held.
func (f *fixture) wantStored(want map[string]string) {
	f.Helper()
	after := dump(f, f.cfg.Store)
	shared := string(limitsPartition) + ":" + kindLimit.Key(f.holding().Names[0])
	for key, value := range after {
		if want[key] != value && key != shared {
			f.Errorf("entry %q is left of her, or another's was changed", key)
		}
	}
	for key := range want {
		if _, there := after[key]; !there && key != shared {
			f.Errorf("entry %q is gone, which is another's", key)
		}
	}
}

// TestForgetOfANumber leaves as little of it as of an address.
func TestForgetOfANumber(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 50, Per: time.Hour} })
	number := func(r *Request) { r.Medium, r.Address, r.Proof = threepid.MSISDN, "447400123456", ProofCode }
	f.open(ask())
	before := dump(t, f.cfg.Store)
	sid := f.validated(ask(number))
	f.proves(f.claim(completes(sid)))
	f.await(ask(number, purpose(threepid.Add)))
	f.hold(ask(number, secret("held"), held("u1")))
	f.wrong(1, number)
	wantErr(t, "Bind", f.Bind(bg, Binding{User: "@u:example.com", Medium: threepid.MSISDN, Address: "447400123456", IDServer: "is.example"}), nil)
	gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.MSISDN, Address: "447400123456"})
	if err != nil || gone["sessions"] != 3 || gone["messages"]+gone["bindings"] == 0 {
		t.Errorf("Forget = %v, %v, want three sessions among what is gone", gone, err)
	}
	f.wantStored(before)
}

// TestForgetPastUnreadable: an entry that cannot be opened holds up nobody.
func TestForgetPastUnreadable(t *testing.T) {
	f := newFixture(t)
	sid := f.open(ask(secret("torn"))).SID
	f.overwrite(sid, func(b []byte) []byte { return b[:10] })
	for i := range 500/sealed.Partitions + 3 {
		f.open(ask(secret(fmt.Sprint("s", i))))
	}
	gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
	if err != nil || gone.Total() != 3*(500/sealed.Partitions+3) {
		t.Errorf("Forget = %v, %v", gone, err)
	}
	if f.entries(kindSession) != 1 {
		t.Errorf("%d sessions are left, want the torn one", f.entries(kindSession))
	}
}
