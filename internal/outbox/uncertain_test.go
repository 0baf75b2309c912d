// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// lateError is one after which a message may have been sent.
type lateError struct{ sendError }

func (lateError) Uncertain() bool { return true }

// slowOnce takes its time over the first mail, until it is released.
var slowOnce = behaviour{script: once("DOT", "250-kept\r\n"+smtptest.Hold+"250 ok\r\n")}

// stand is a record as it is stored.
func (p *post) stand(at ref) *record {
	p.Helper()
	var rec *record
	err := p.store.View(p.Context(), at.partition, func(txn store.Txn) (err error) {
		rec, err = p.outbox.codec.get(txn, at.key)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return rec
}

// TestSlowRelayHoldsNobodyBack: while it takes its time over one mail, others
// are sent by the one worker over the one connection that there may be.
func TestSlowRelayHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	p := newPost(t, slowOnce)
	slow := p.put(p.outbox, message(1))
	p.outbox.deliver(p.outbox.now(), slow)
	for n := 2; n < 5; n++ {
		p.outbox.deliver(p.outbox.now(), p.put(p.outbox, message(n)))
	}
	// On a busy machine the others count as slow, too, for a moment.
	for until := time.Now().Add(time.Minute); p.stored() != 1 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if got := p.ids(); len(got) != 4 || p.stored() != 1 {
		t.Errorf("%d mails were taken and %d wait, want four and the slow one", len(got), p.stored())
	}
	if got := p.relays.Status()[0]; got.State != failover.Closed || got.InFlight != 1 || got.Failing() {
		t.Errorf("got %+v, want it in order and at work", got)
	}
	p.double.Release()
	p.outbox.wg.Wait()
	p.wantStored(0)
	p.wantOutcomes(strings.TrimSpace(strings.Repeat("sent ", 4)))
}

// TestDeathWhileARelayIsSlow: whoever comes after does not send at once what
// the relay may still take, and sends it once.
func TestDeathWhileARelayIsSlow(t *testing.T) {
	t.Parallel()
	p := newPost(t, slowOnce)
	at := p.put(p.outbox, message(1))
	p.outbox.deliver(p.outbox.now(), at)
	rec := p.stand(at)
	rec.Lease = "another.process" // this one dies, and the next one is another
	err := p.store.Update(t.Context(), at.partition, func(txn store.Txn) error { return p.outbox.codec.put(txn, at.key, rec) })
	if err != nil {
		t.Fatal(err)
	}
	next := p.rig.outbox(nil, func(c *Config) { c.Now, c.Sole = p.clock.Now, true })
	if got, err := next.claim(at); got != nil || err != nil {
		t.Errorf("claim at once = %+v, %v, want none", got, err)
	}
	p.clock.Advance(transport.DefaultHandoverTimeout + leaseMargin + DefaultLateness)
	if got, err := next.claim(at); err != nil || got == nil || !got.Uncertain {
		t.Errorf("claim later = %+v, %v, want an uncertain record", got, err)
	}
	p.double.Release()
	p.outbox.wg.Wait()
	p.wantStored(1) // it is not the first process's any more
}

// TestStopWhileARelayIsSlow: Stop waits as long as it is told to, and what it
// cuts off is uncertain.
func TestStopWhileARelayIsSlow(t *testing.T) {
	t.Parallel()
	p := newPost(t, slowOnce)
	at := p.put(p.outbox, message(1))
	p.outbox.deliver(p.outbox.now(), at)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.outbox.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop = %v, want it cut off", err)
	}
	p.outbox.wg.Wait()
	rec := p.stand(at)
	if wait := time.UnixMilli(rec.NotBefore).Sub(p.clock.Now()); !rec.Uncertain || rec.Lease != "" || wait < DefaultLateness-time.Second {
		t.Errorf("got %+v, after %s, want it uncertain, free and late", rec, wait)
	}
	p.wantOutcomes("deferred")
}

// TestSecondTimeGoesByAnotherRelay: the first may be one that never answers.
func TestSecondTimeGoesByAnotherRelay(t *testing.T) {
	t.Parallel()
	p := newPost(t, behaviour{script: kept(at("DOT", smtptest.Drop))})
	good := newPost(t, behaviour{})
	relays, err := transport.NewRelays([]transport.Relay{{Name: "lost", Transport: p.relays}, {Name: "good", Transport: good.relays}}, failover.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p.outbox.SetSender(threepid.Email, newMailSender(t, relays))
	p.send(message(1))
	p.wantOutcomes("deferred sent")
	if first, second := p.ids(), good.ids(); len(first) != 1 || len(second) != 1 || first[0] != second[0] {
		t.Errorf("got %v by the first and %v by the second, want one each, under one id", first, second)
	}
}

// TestNoThirdTime: a message of which two processes died is not sent by a third,
// unless the second had not come to send it.
func TestNoThirdTime(t *testing.T) {
	for _, begun := range []bool{true, false} {
		p := newPost(t, behaviour{})
		svc := p.service(p.outbox, func(c *verification.Config) { c.Now = p.clock.Now })
		opened, err := svc.RequestToken(t.Context(), ask("s1"))
		if err != nil {
			t.Fatal(err)
		}
		key, _ := verification.OutboxKey(string(opened.SID + ".1"))
		at := ref{partitionOf(string(opened.SID)), key}
		for n := range 2 {
			rec, err := p.outbox.claim(at)
			if err != nil || rec == nil || rec.Uncertain != (n > 0) {
				t.Fatalf("claim %d = %+v, %v", n, rec, err)
			}
			if n == 1 && begun {
				if rec, err = p.outbox.renew(at, rec); err != nil || !rec.Again {
					t.Fatalf("renew = %+v, %v", rec, err)
				}
			}
			p.clock.Advance(DefaultSendTimeout + leaseMargin)
		}
		p.outbox.deliver(p.outbox.now(), at)
		p.outbox.wg.Wait()
		want, state, copies := Sent, verification.Delivered, 1
		if begun {
			want, state, copies = Uncertain, verification.Uncertain, 0
		}
		p.wantOutcomes(want)
		p.wantStored(0)
		if got := len(p.ids()); got != copies {
			t.Errorf("begun %t: %d copies, want %d", begun, got, copies)
		}
		if a, err := svc.Describe(t.Context(), opened.SID); err != nil || a.Delivery != state {
			t.Errorf("begun %t: %+v, %v, want %s", begun, a, err, state)
		}
	}
}

// TestAMailThatMayHaveBeenSentIsSentTwiceAtMost, whatever transport says so; a text is
// tried like any other.
func TestAMailThatMayHaveBeenSentIsSentTwiceAtMost(t *testing.T) {
	for medium, want := range map[threepid.Medium]bool{threepid.Email: true, threepid.MSISDN: false} {
		synctest.Test(t, func(t *testing.T) {
			r, m := newRig(t), message(1)
			m.Medium = medium
			box := &mailbox{fail: func(context.Context, verification.Message) error {
				return &guest.SendError{Reason: guest.ReasonTimeout, Again: true, Unsure: true}
			}}
			o := r.outbox(nil, func(c *Config) { c.Senders = map[threepid.Medium]Sender{medium: box} })
			r.put(o, m)
			o.Start()
			time.Sleep(2 * time.Hour)
			if _, sends := box.count(); (sends == 2) != want {
				t.Errorf("%s: sent %d times", medium, sends)
			}
			r.stop(o)
		})
	}
}

// TestUncertainNearItsEnd: near the token's end the second time comes earlier,
// or not at all; no mail is too late for its link.
func TestUncertainNearItsEnd(t *testing.T) {
	for _, life := range []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute, time.Hour} {
		p := newPost(t, behaviour{})
		sent := 0
		p.outbox.SetSender(threepid.Email, senderFunc(func(context.Context, verification.Message) error {
			sent++
			return lateError{sendError{text: "lost", temporary: true}}
		}))
		m := message(1)
		m.Created = p.clock.Now()
		m.Expires = m.Created.Add(life)
		p.send(m)
		want := []string{Deferred, Uncertain}
		if life < 2*backoffBase {
			want = want[1:]
		}
		p.wantOutcomes(strings.Join(want, " "))
		if sent != len(want) || p.clock.Now().After(m.Expires) {
			t.Errorf("life %s: %d sends until %s before the end", life, sent, m.Expires.Sub(p.clock.Now()))
		}
	}
}

// TestUncertainMessageIsReadable: what is in the store of a message that is sent
// for the second time means the same to later versions.
func TestUncertainMessageIsReadable(t *testing.T) {
	written, err := hex.DecodeString(strings.Replace(oldRecord, "01a5", "01a7", 1) + "06f507f5")
	if err != nil {
		t.Fatal(err)
	}
	c := codec{testKeys(t, 1)}
	got, err := c.open("o/k", c.keys.Seal("o/k", written))
	if err != nil || !got.Uncertain || !got.Again || got.Tries != 4 {
		t.Fatalf("record = %+v, %v", got, err)
	}
	if again := c.plain(t, got); string(again) != string(written) {
		t.Errorf("it is written again as %x", again)
	}
}

// TestSecondTimeThatHandedNothingOver was none: whoever dies before the next one's
// turn leaves a message that is sent once more.
func TestSecondTimeThatHandedNothingOver(t *testing.T) {
	now := time.Now()
	r := newRig(t)
	answers := []error{lateError{sendError{text: "lost", temporary: true}}, sendError{text: "refused", temporary: true}}
	o := r.outbox(senderFunc(func(context.Context, verification.Message) error {
		answer := answers[0]
		answers = answers[1:]
		return answer
	}), func(c *Config) { c.Now = func() time.Time { return now } })
	at := r.put(o, message(1))
	for range 2 {
		o.deliver(o.now(), at)
		o.wg.Wait()
		now = now.Add(DefaultLateness + backoffCap)
	}
	if rec, err := r.open(o, at); err != nil || !rec.Uncertain || rec.Again || rec.Tries != 2 {
		t.Errorf("got %+v, %v, want it uncertain, and not for the last time", rec, err)
	}
}

// TestSecondTimeThatWasPutOff was none either: the message had not come to be sent.
func TestSecondTimeThatWasPutOff(t *testing.T) {
	now, asked, sent := time.Now(), 0, 0
	r := newRig(t)
	o := r.outbox(senderFunc(func(context.Context, verification.Message) error {
		if sent++; sent == 1 {
			return lateError{sendError{text: "lost", temporary: true}}
		}
		return nil
	}), func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Suppressed = func(context.Context, verification.Message) (string, error) {
			if asked++; asked == 2 {
				return "", errDiskFull
			}
			return "", nil
		}
	})
	at := r.put(o, message(1))
	for range 3 {
		o.deliver(o.now(), at)
		o.wg.Wait()
		now = now.Add(DefaultLateness + backoffCap)
	}
	if r.wantStored(0); sent != 2 {
		t.Errorf("it was sent %d times, want a second time after it could be asked whether it may be", sent)
	}
}
