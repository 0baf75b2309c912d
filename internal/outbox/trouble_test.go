// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

var errDiskFull = errors.New("no space left")

// faulty is a store whose methods fail while they are told to. failUpdates
// counts down from the number of updates that fail; -1 is all of them.
type faulty struct {
	store.Store
	scans       atomic.Bool
	failUpdates atomic.Int64
}

func (f *faulty) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if f.scans.Load() {
		return errDiskFull
	}
	return f.Store.Scan(ctx, p, prefix, fn)
}

func (f *faulty) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if left := f.failUpdates.Load(); left != 0 {
		f.failUpdates.Add(-1)
		return errDiskFull
	}
	return f.Store.Update(ctx, p, fn)
}

// TestStoreFailureDelays: while the store fails nothing is sent, since nothing
// could be written down; it is reported, though not for every message; and
// when it recovers all is sent, once.
func TestStoreFailureDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		f := &faulty{Store: r.store}
		o := r.outbox(box, func(c *Config) { c.Store = f })
		for n := range 100 {
			r.put(o, message(n))
		}
		f.failUpdates.Store(-1)
		o.Start()
		time.Sleep(time.Minute - time.Second) // between two sweeps
		wantSends(t, box, 0, 0)
		events := r.diary.all()
		if len(events) != 12 {
			t.Errorf("%d reports in a minute, want one per sweep", len(events))
		}
		for _, e := range events {
			if e.Outcome != Deferred || !e.Operator || !errors.Is(e.Err, errDiskFull) || e.Pseudonym != "" {
				t.Errorf("event = %+v, want the store's failure", e)
			}
		}
		f.failUpdates.Store(0)
		f.scans.Store(true) // now nobody finds them
		time.Sleep(time.Minute)
		wantSends(t, box, 0, 0)
		if got := len(r.diary.all()) - len(events); got != 12 {
			t.Errorf("%d reports of failed sweeps in a minute, want one per sweep", got)
		}
		f.scans.Store(false)
		time.Sleep(time.Minute)
		r.stop(o)
		wantSends(t, box, 100, 100)
		r.wantStored(0)
	})
}

// TestOutcomeIsWrittenAtTheSecondAttempt: one failure of the store between
// sending and noting it does not send twice.
func TestOutcomeIsWrittenAtTheSecondAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		f := &faulty{Store: r.store}
		box := &mailbox{}
		o := r.outbox(senderFunc(func(ctx context.Context, m verification.Message) error {
			f.failUpdates.Store(1)
			return box.Send(ctx, m)
		}), func(c *Config) { c.Store = f })
		r.put(o, message(1))
		o.Start()
		time.Sleep(10 * time.Minute)
		r.stop(o)
		wantSends(t, box, 1, 1)
		r.wantOutcomes("sent")
		r.wantStored(0)
	})
}

// TestUnreadableIsLeftAlone: during a change of keys or of version another
// process may be able to read what we cannot. It is reported once, not sent,
// and not deleted.
func TestUnreadableIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		other := r.outbox(box, func(c *Config) { c.Keys = testKeys(t, 2) })
		m := message(1)
		at := r.put(other, m)

		o := r.outbox(box)
		o.Start()
		o.Wake(at.partition, m.ID)
		time.Sleep(10 * time.Minute)
		r.stop(o)
		wantSends(t, box, 0, 0)
		r.wantOutcomes("dropped")
		r.wantStored(1)

		other.Start()
		synctest.Wait()
		r.stop(other)
		wantSends(t, box, 1, 1)
		r.wantOutcomes("dropped sent")
	})
}

// TestClosedStore: an outbox whose store was closed neither crashes nor, once
// it is told to stop, complains.
func TestClosedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := r.outbox(senderFunc(func(context.Context, verification.Message) error { return r.store.Close() }))
		r.put(o, message(1))
		o.Start()
		time.Sleep(time.Second)
		r.stop(o)
		o.trouble(store.ErrClosed)
		r.wantOutcomes("deferred sent") // that the note of it was lost, and it
		if e := r.diary.all(); !errors.Is(e[0].Err, store.ErrClosed) {
			t.Errorf("error = %v, want ErrClosed", e[0].Err)
		}
	})
}

// TestNoAddressInEvents: relays like to repeat whom a message was for; what is
// observed must not.
func TestNoAddressInEvents(t *testing.T) {
	m := message(1)
	texts := []string{
		"550 5.1.1 <" + testAddress + ">: Recipient address rejected",
		"user ALICE.Liddell unknown in virtual mailbox table",
		"forwarded to alice@elsewhere.example and bob@elsewhere.example",
		"bounced for bounce+alice.liddell=mail.example@relay.example",
		"bad link https://x.example/confirm?sid=" + string(m.SID) + "&token=" + string(m.Token),
		"message " + m.ID + "\r\nrefused",
	}
	for _, text := range texts {
		for _, temporary := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				o := r.outbox(&mailbox{fail: func(context.Context, verification.Message) error {
					return sendError{text: text, temporary: temporary}
				}})
				r.put(o, message(1))
				o.Start()
				synctest.Wait()
				r.stop(o)
				e := r.diary.all()
				if len(e) != 1 || e[0].Err == nil || e[0].Pseudonym == "" {
					t.Fatalf("events = %+v", e)
				}
				if got, want := e[0].Pseudonym, r.keys.Pseudonym(time.Now(), testAddress); got != want {
					t.Errorf("pseudonym = %q, want %q", got, want)
				}
				told := strings.ToLower(e[0].Err.Error())
				for _, secret := range []string{"alice", "liddell", "@", testToken, strings.ToLower(string(m.SID)), "\r", "\n"} {
					if strings.Contains(told, secret) {
						t.Errorf("the error %q tells %q", told, secret)
					}
				}
				if errors.Unwrap(e[0].Err) != nil {
					t.Error("the original error can be unwrapped")
				}
			})
		}
	}
}
