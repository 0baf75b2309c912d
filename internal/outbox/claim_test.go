// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// service is the domain over the rig's store and an outbox.
func (r *rig) service(o verification.Outbox, change ...func(*verification.Config)) *verification.Service {
	r.Helper()
	cfg := verification.Config{Store: r.store, Keys: r.keys, Outbox: o}
	for _, c := range change {
		c(&cfg)
	}
	svc, err := verification.NewService(cfg)
	if err != nil {
		r.Fatal(err)
	}
	return svc
}

func ask(secret string) verification.Request {
	return verification.Request{
		Purpose: threepid.Register, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: testAddress}, ClientSecret: threepid.ClientSecret(secret), SendAttempt: 1,
	}
}

// TestOldMessageIsSent: what the version before brands and refusals has put
// into the store means what it meant.
func TestOldMessageIsSent(t *testing.T) {
	written, err := hex.DecodeString(oldRecord)
	if err != nil {
		t.Fatal(err)
	}
	c := codec{testKeys(t, 1)}
	got, err := c.open("o/k", c.keys.Seal("o/k", written))
	if err != nil {
		t.Fatal(err)
	}
	got.Message.Created, got.Message.Expires = got.Message.Created.UTC(), got.Message.Expires.UTC()
	sid := "00abcdefghijklmnopqrstuvTAGTAGTA"
	want := record{Tries: 4, NotBefore: 5, Lease: "x", LeaseUntil: 6, Message: verification.Message{
		ID: sid + ".2", SID: threepid.SID(sid), Purpose: threepid.Password, Medium: threepid.Email, Address: "a@x.example",
		Proof: verification.ProofCode, Token: "123456", Language: "de",
		Created: time.Unix(1700000000, 0).UTC(), Expires: time.Unix(1700003600, 0).UTC(),
	}}
	if *got != want {
		t.Errorf("record = %+v, want %+v", *got, want)
	}
	if again := c.plain(t, got); string(again) != string(written) {
		t.Errorf("it is written again as %x", again)
	}
}

const oldRecord = `01a501aa01782230306162636465666768696a6b6c6d6e6f7071727374757654414754414754412e32027820303061626364` +
	`65666768696a6b6c6d6e6f707172737475765441475441475441036870617373776f72640465656d61696c056b6140782e65` +
	`78616d706c65060107663132333435360862646509fb41d954fc400000000afb41d954ffc4000000020403050461780506`

// TestSettledWithItsSession: the domain learns what became of a message in the
// very transaction in which that is settled.
func TestSettledWithItsSession(t *testing.T) {
	tests := []struct {
		name string
		fail error
		want verification.DeliveryState
	}{
		{"taken", nil, verification.Delivered},
		{"later", sendError{text: "later", temporary: true}, verification.Deferred},
		{"never", sendError{text: "no such user"}, verification.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				o := r.outbox(&mailbox{fail: func(context.Context, verification.Message) error { return tt.fail }})
				svc := r.service(o)
				opened, err := svc.RequestToken(t.Context(), ask("s1"))
				if err != nil {
					t.Fatal(err)
				}
				state := func() verification.DeliveryState {
					a, err := svc.Describe(t.Context(), opened.SID)
					if err != nil {
						t.Fatal(err)
					}
					return a.Delivery
				}
				if got := state(); got != verification.Waiting {
					t.Errorf("before it is tried: %q", got)
				}
				o.Start()
				synctest.Wait()
				if got := state(); got != tt.want {
					t.Errorf("after a try: %q, want %q", got, tt.want)
				}
				r.stop(o)
				time.Sleep(2 * time.Hour)
				late := r.outbox(nil) // finds what has expired, if anything
				late.Start()
				synctest.Wait()
				r.stop(late)
				if got := state(); got == verification.Deferred || got == verification.Waiting {
					t.Errorf("when it has expired: %q", got)
				}
			})
		})
	}
}

// TestRefusedIsNotSent: a message whose session was refused is not sent if its
// sending had not begun: not from the queue, not after a delay, and not when it
// was claimed and waited for its turn.
func TestRefusedIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		release := make(chan struct{})
		var last verification.Message
		box := &mailbox{}
		box.fail = func(_ context.Context, m verification.Message) error {
			last = m
			if m.Address == testAddress {
				<-release
			}
			return nil
		}
		o := r.outbox(box, oneWorker)
		svc := r.service(o)
		open := func(secret, address string) (sid threepid.SID) {
			t.Helper()
			req := ask(secret)
			req.Address = address
			opened, err := svc.RequestToken(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			return opened.SID
		}
		open("s1", testAddress)
		o.Start()
		synctest.Wait() // it is being sent, and takes a while
		var sids []string
		for n := range 3 + ahead {
			sids = append(sids, string(open("s", string(rune('a'+n))+"@mail.example")))
		}
		synctest.Wait() // some are claimed, some are queued
		time.Sleep(staleAfter)
		for _, sid := range sids {
			if err := svc.RevokeSession(t.Context(), threepid.SID(sid)); err != nil {
				t.Fatal(err)
			}
		}
		if err := svc.Refuse(t.Context(), last.SID, last.Refusal, false); err != nil {
			t.Fatal(err)
		}
		close(release)
		time.Sleep(10 * time.Minute)
		r.stop(o)
		wantSends(t, box, 1, 1) // that which was on its way
		r.wantStored(0)
		a, err := svc.Describe(t.Context(), last.SID)
		if err != nil || a.State != verification.Revoked || a.Delivery != verification.Failed {
			t.Errorf("the session is %+v, %v", a, err)
		}
	})
}

// TestLeaseIsProlonged: a message that was claimed early and had to wait is
// sent under a lease that covers its sending.
func TestLeaseIsProlonged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		slow := &mailbox{fail: func(context.Context, verification.Message) error {
			time.Sleep(DefaultSendTimeout - time.Second)
			return nil
		}}
		o := r.outbox(slow, oneWorker)
		rival := r.outbox(slow, oneWorker, func(c *Config) { c.Sweep = time.Second })
		const many = 2 * (1 + ahead)
		for n := range many {
			r.put(o, message(n))
		}
		o.Start()
		synctest.Wait()
		rival.Start()
		time.Sleep(time.Hour)
		r.stop(o)
		r.stop(rival)
		wantSends(t, slow, many, many)
		r.wantStored(0)
	})
}

// TestExpiredWhileItWaitedForItsTurn: it is not sent, and that is said.
func TestExpiredWhileItWaitedForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		box := &mailbox{fail: func(context.Context, verification.Message) error {
			time.Sleep(40 * time.Second)
			return nil
		}}
		o := r.outbox(box, oneWorker)
		for n := range 2 {
			m := message(n)
			m.Expires = m.Created.Add(30 * time.Second)
			r.put(o, m)
		}
		o.Start()
		time.Sleep(5 * time.Minute)
		r.stop(o)
		wantSends(t, box, 1, 1)
		// The turn goes on before what became of the first is told.
		if got := slices.Sorted(strings.FieldsSeq(r.diary.outcomes())); !slices.Equal(got, []string{"expired", "sent"}) {
			t.Errorf("outcomes = %q, want one sent and one expired", got)
		}
		r.wantStored(0)
		if got := o.tally.total.Load(); got != 0 {
			t.Errorf("tally = %d, want 0", got)
		}
	})
}

// TestRenewFails: when the store fails while a lease is prolonged, nothing is
// sent under a lease that may have ended, and the message is not lost.
func TestRenewFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		f := &faulty{Store: r.store}
		box := &mailbox{}
		box.fail = func(context.Context, verification.Message) error {
			if m, _ := box.count(); m == 1 {
				time.Sleep(staleAfter)
				f.failUpdates.Store(2) // that of the settlement, and of the renewal
			}
			return nil
		}
		o := r.outbox(box, oneWorker, func(c *Config) { c.Store = f })
		r.put(o, message(0))
		r.put(o, message(1))
		o.Start()
		time.Sleep(10 * time.Minute)
		r.stop(o)
		wantSends(t, box, 2, 2)
		r.wantStored(0)
	})
}

// TestSoleProcessResendsAtOnce: where no other process can have the store, a
// lease of another process is that of one that died; a lease of this process is
// respected all the same.
func TestSoleProcessResendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		sole := func(c *Config) { c.Sole = true }
		o := r.outbox(box, sole)
		at := r.put(o, message(1))
		rec, err := o.claim(at)
		if err != nil || rec == nil {
			t.Fatalf("claim = %v, %v", rec, err)
		}
		if again, err := o.claim(at); again != nil || err != nil {
			t.Errorf("claim of what this process sends = %v, %v", again, err)
		}
		rec.Lease = "another.process"
		err = r.store.Update(t.Context(), at.partition, func(txn store.Txn) error { return o.codec.put(txn, at.key, rec) })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.outbox(box).claim(at); got != nil || err != nil {
			t.Errorf("claim in a store that others use too = %v, %v", got, err)
		}
		o.Start()
		synctest.Wait()
		r.stop(o)
		wantSends(t, box, 1, 1)
	})
}

// TestSuppressed: nothing is sent to an address that is on the list, and it
// fails; while the list cannot be read, it waits.
func TestSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		up := time.Now().Add(time.Minute)
		o := r.outbox(box, func(c *Config) {
			c.Suppressed = func(_ context.Context, m verification.Message) (string, error) {
				switch {
				case time.Now().Before(up):
					return "", errors.New("the list of " + m.Address + " is out of reach")
				case m.Medium == threepid.Email && m.Address == testAddress:
					return "bounced before as " + m.Address, nil
				}
				return "", nil
			}
		})
		svc := r.service(o)
		opened, err := svc.RequestToken(t.Context(), ask("s1"))
		if err != nil {
			t.Fatal(err)
		}
		free := message(2)
		free.Address = "bob@mail.example"
		r.put(o, free)
		o.Start()
		time.Sleep(30 * time.Minute)
		r.stop(o)
		if box.sent[free.ID] != 1 || len(box.sent) != 1 {
			t.Errorf("sent = %v, want the other address only", box.sent)
		}
		if a, err := svc.Describe(t.Context(), opened.SID); err != nil || a.Delivery != verification.Failed {
			t.Errorf("Describe = %+v, %v, want failed", a, err)
		}
		if found, err := svc.FindByAddress(t.Context(), threepid.ThreePID{Medium: threepid.Email, Address: testAddress}); err != nil || len(found) != 1 || found[0].Reply.Text != "suppressed: bounced before as "+testAddress {
			t.Errorf("FindByAddress = %+v, %v, want what was said", found, err)
		}
		suppressed := 0
		for _, e := range r.diary.all() {
			if e.Err != nil && strings.Contains(e.Err.Error(), "alice") {
				t.Errorf("the error %q names the address", e.Err)
			}
			switch e.Outcome {
			case Suppressed:
				if suppressed++; e.Err == nil || e.Operator || e.Err.Error() != "bounced before as [address]" {
					t.Errorf("event = %+v, want the reason", e)
				}
			case Deferred:
				if e.Err == nil || !e.Operator || e.Tries == 0 || !strings.HasPrefix(e.Err.Error(), "look up suppression: ") {
					t.Errorf("event = %+v, want that the list cannot be read", e)
				}
			}
		}
		if suppressed != 1 {
			t.Errorf("%d events of suppression, want 1", suppressed)
		}
		r.wantStored(0)
	})
}

// askingError wants to be left alone for a while.
type askingError struct {
	sendError
	wait time.Duration
}

func (e askingError) RetryAfter() time.Duration { return e.wait }

// TestRetryAfterIsHonoured: nobody comes back before the transport said so; and
// if that is after the token's end, it is not waited for.
func TestRetryAfterIsHonoured(t *testing.T) {
	for _, wait := range []time.Duration{0, 7 * time.Minute, time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			box := &mailbox{fail: func(context.Context, verification.Message) error {
				return askingError{sendError{text: "every relay is resting", temporary: true, operator: true}, wait}
			}}
			o := r.outbox(box)
			r.put(o, message(1))
			o.Start()
			time.Sleep(2 * time.Hour)
			r.stop(o)
			for i := 1; i < len(box.at); i++ {
				if gap := box.at[i].Sub(box.at[i-1]); gap < wait {
					t.Errorf("tried again after %s, asked for %s", gap, wait)
				}
			}
			if wait == time.Hour && r.diary.outcomes() != Expired {
				t.Errorf("outcomes = %q, want expired at once", r.diary.outcomes())
			}
			if wait == 7*time.Minute && (len(box.at) < 4 || len(box.at) > 9) {
				t.Errorf("%d tries in an hour, want one every seven to twelve minutes", len(box.at))
			}
			r.wantStored(0)
		})
	}
}
