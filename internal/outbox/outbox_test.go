// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// TestNothingIsSentInsideTheRequest: Put and Wake write and remind; only a
// started outbox sends.
func TestNothingIsSentInsideTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		m := message(1)
		at := r.put(o, m)
		o.Wake(at.partition, m.ID)
		time.Sleep(time.Minute)
		wantSends(t, box, 0, 0)

		o.Start()
		o.Start() // harmless
		synctest.Wait()
		wantSends(t, box, 1, 1)
		r.stop(o)
		r.wantStored(0)
		e := r.diary.all()
		if len(e) != 1 || e[0].Outcome != Sent || e[0].Tries != 1 || e[0].Err != nil || e[0].Age != time.Minute ||
			e[0].Purpose != threepid.Password || e[0].Medium != threepid.Email {
			t.Errorf("events = %+v, want one that is sent", e)
		}
	})
}

// TestAbortedSessionSendsNothing: the message exists only if its session does.
func TestAbortedSessionSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		o.Start()
		defer r.stop(o)
		m, abort := message(1), errors.New("abort")
		err := r.store.Update(t.Context(), store.Partition(m.ID[:2]), func(txn store.Txn) error {
			if err := o.Put(txn, m); err != nil {
				return err
			}
			return abort
		})
		if !errors.Is(err, abort) {
			t.Fatal(err)
		}
		o.Wake(store.Partition(m.ID[:2]), m.ID)
		time.Sleep(time.Minute)
		wantSends(t, box, 0, 0)
		r.wantOutcomes("")
	})
}

// TestWokenAtOnceAndSweptSoon: a wake-up is followed at once; without one, the
// sweep finds the message.
func TestWokenAtOnceAndSweptSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		o.Start()
		defer r.stop(o)
		time.Sleep(time.Second) // the first sweep is over

		woken := message(1)
		o.Wake(r.put(o, woken).partition, woken.ID)
		synctest.Wait()
		wantSends(t, box, 1, 1)

		r.put(o, message(2)) // its wake-up is lost
		time.Sleep(DefaultSweep - 2*time.Second)
		wantSends(t, box, 1, 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantSends(t, box, 2, 2)
	})
}

// TestWakeNeverBlocks: more wake-ups than the queue holds lose nothing.
func TestWakeNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		const many = queueLength + 500
		for n := range many {
			m := message(n)
			o.Wake(r.put(o, m).partition, m.ID)
		}
		o.Wake("00", "") // what is no id wakes nobody
		o.Start()
		time.Sleep(time.Minute)
		r.stop(o)
		wantSends(t, box, many, many)
		r.wantStored(0)
	})
}

// TestTwoOutboxesSendOnce: during a reload two configurations run over one
// store; all messages are sent, and none by both.
func TestTwoOutboxesSendOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		slow := func(context.Context, verification.Message) error {
			time.Sleep(3 * time.Second)
			return nil
		}
		box := &mailbox{fail: slow}
		a, b := r.outbox(box), r.outbox(box, func(c *Config) { c.Sweep = 3 * time.Second })
		const many = 300
		for n := range many {
			m := message(n)
			at := r.put(a, m)
			a.Wake(at.partition, m.ID)
			b.Wake(at.partition, m.ID)
		}
		a.Start()
		b.Start()
		time.Sleep(20 * time.Second)
		r.stop(a) // the old configuration goes, the new one does the rest
		time.Sleep(10 * time.Minute)
		r.stop(b)
		wantSends(t, box, many, many)
		r.wantStored(0)
	})
}

// TestDurableAcrossReopen: a message that was committed is sent by the next
// process.
func TestDurableAcrossReopen(t *testing.T) {
	dir := t.TempDir()
	open := func() *badgerstore.Store {
		s, err := badgerstore.Open(badgerstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	r := newRig(t)
	first := open()
	r.store = first
	never := senderFunc(func(context.Context, verification.Message) error { return errors.New("unused") })
	for n := range 3 {
		r.put(r.outbox(never), message(n))
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open()
	r.store = second
	got := make(chan verification.Message, 3)
	o := r.outbox(senderFunc(func(_ context.Context, m verification.Message) error {
		got <- m
		return nil
	}))
	o.Start()
	seen := map[string]bool{}
	for range 3 {
		select {
		case m := <-got:
			seen[m.ID] = m.Address == testAddress && m.Token == testToken
		case <-time.After(2 * time.Minute):
			t.Fatal("not sent by the next process")
		}
	}
	r.stop(o)
	r.wantStored(0)
	for n := range 3 {
		if id := message(n).ID; !seen[id] {
			t.Errorf("message %d did not arrive as it was put", n)
		}
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestStoreHoldsNothingInClear: who reads the store learns neither an address
// nor a token.
func TestStoreHoldsNothingInClear(t *testing.T) {
	r := newRig(t)
	at := r.put(r.outbox(nil), message(1))
	err := r.store.Scan(t.Context(), at.partition, "", func(key string, value []byte) (bool, error) {
		if !strings.HasPrefix(key, "o/") {
			t.Errorf("key %q is outside the outbox's part", key)
		}
		for _, secret := range []string{testAddress, "alice", "mail.example", testToken} {
			if bytes.Contains(value, []byte(secret)) || strings.Contains(key, secret) {
				t.Errorf("%q is stored in clear", secret)
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.wantStored(1)
}

func TestPutRefusesAnIDWithoutPartition(t *testing.T) {
	r := newRig(t)
	o := r.outbox(nil)
	for _, id := range []string{"", "0", "0f"} {
		m := message(1)
		m.ID = id
		err := r.store.Update(t.Context(), "0f", func(txn store.Txn) error { return o.Put(txn, m) })
		if !errors.Is(err, errID) {
			t.Errorf("Put of id %q = %v, want errID", id, err)
		}
	}
}

// TestConfigIsCompleted: what is not set has its default, what is set stays, and what
// the outbox changes of it is its own.
func TestConfigIsCompleted(t *testing.T) {
	type numbers struct {
		workers, most            int
		sweep, timeout, lateness time.Duration
	}
	of := func(o *Outbox) numbers {
		return numbers{cap(o.own.slots), o.own.MaxQueued, o.cfg.Sweep, o.cfg.SendTimeout, o.cfg.Lateness}
	}
	defaults := numbers{DefaultWorkers, DefaultMaxQueued, DefaultSweep, DefaultSendTimeout, DefaultLateness}
	for _, c := range []Config{{}, {Workers: -1, Transports: Transports{MaxQueued: -1}, Sweep: -1, SendTimeout: -1, Lateness: -1}} {
		if got := New(c); of(got) != defaults || got.cfg.Now == nil || got.cfg.Random == nil || got.own.Observer == nil || cap(got.queue.refs) != queueLength {
			t.Errorf("New(%+v) has %+v", c, of(got))
		}
	}
	least := numbers{1, 1, 1, 1, 1}
	senders := map[threepid.Medium]Sender{threepid.Email: &mailbox{}}
	got := New(Config{Workers: 1, Sweep: 1, SendTimeout: 1, Lateness: 1, Random: maximal{}, Transports: Transports{MaxQueued: 1, Senders: senders, Observer: &diary{}}})
	if of(got) != least || got.cfg.Random != (maximal{}) {
		t.Errorf("got %+v, want %+v", of(got), least)
	}
	if _, ok := got.own.Observer.(*diary); !ok {
		t.Errorf("the observer is %T", got.own.Observer)
	}
	got.SetSender(threepid.Email, nil)
	if senders[threepid.Email] == nil {
		t.Error("the caller's senders were changed")
	}
}
