// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestCrashResendsWhenTheLeaseEnds: a process that dies while it sends leaves
// a lease. Nobody touches the message before its end, and somebody does after.
func TestCrashResendsWhenTheLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		dead := r.outbox(nil)
		rec, err := dead.claim(r.put(dead, message(1)))
		if err != nil || rec == nil {
			t.Fatalf("claim = %v, %v", rec, err)
		}
		claimed := time.Now()

		box := &mailbox{}
		o := r.outbox(box)
		o.Start()
		defer r.stop(o)
		time.Sleep(DefaultSendTimeout + leaseMargin - time.Second)
		wantSends(t, box, 0, 0)
		time.Sleep(time.Second + DefaultSweep)
		synctest.Wait()
		wantSends(t, box, 1, 1)
		if got, most := box.at[0].Sub(claimed), DefaultSendTimeout+leaseMargin+DefaultSweep; got > most {
			t.Errorf("sent %s after the crash, want at most %s", got, most)
		}
		r.wantStored(0)
	})
}

// TestLateSenderLeavesTheNextTryAlone: a sender that overruns its lease comes
// back to a message that another try has; it must not settle that one's lease.
func TestLateSenderLeavesTheNextTryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var second atomic.Bool
		box := &mailbox{}
		box.fail = func(context.Context, verification.Message) error {
			if !second.Swap(true) {
				time.Sleep(DefaultSendTimeout + leaseMargin + 20*time.Second)
				return sendError{text: "late", temporary: true}
			}
			time.Sleep(40 * time.Second) // the first one returns meanwhile
			return nil
		}
		o := r.outbox(box)
		r.put(o, message(1))
		o.Start()
		time.Sleep(10 * time.Minute)
		r.stop(o)
		wantSends(t, box, 1, 2)
		r.wantStored(0)
	})
}

// TestATransportThatEndsItsGoroutineHoldsNobodyUp: the next message has its turn.
func TestATransportThatEndsItsGoroutineHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		box.fail = func(context.Context, verification.Message) error {
			if _, sends := box.count(); sends == 1 {
				runtime.Goexit()
			}
			return nil
		}
		o := r.outbox(box, oneWorker)
		r.put(o, message(1))
		r.put(o, message(2))
		o.Start()
		synctest.Wait()
		wantSends(t, box, 2, 2)
		r.stop(o)
	})
}

// TestATransportThatHangsIsToldOf, once for each message that it has not let go of.
func TestATransportThatHangsIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, back := newRig(t), make(chan struct{})
		o := r.outbox(senderFunc(func(context.Context, verification.Message) error {
			<-back
			return nil
		}), oneWorker)
		r.put(o, message(1))
		r.put(o, message(2))
		o.Start()
		time.Sleep(DefaultSendTimeout + leaseMargin - time.Second)
		r.wantOutcomes("")
		time.Sleep(30 * time.Minute)
		if got := r.diary.all(); len(got) != 1 || got[0].Outcome != Deferred || !got[0].Operator || !errors.Is(got[0].Err, errHangs) {
			t.Errorf("got %+v, want that it does not return", got)
		}
		close(back)
		r.stop(o)
	})
}

// TestFinalFailures: what cannot get better is not tried again, and fails
// alone: the one worker goes on.
func TestFinalFailures(t *testing.T) {
	tests := []struct {
		name string
		fail func() error
		want string
	}{
		{"permanent", func() error { return sendError{text: "no such user"} }, "no such user"},
		{"an error that says nothing", func() error { return errors.New("does not compose") }, "does not compose"},
		{"panic", func() error { panic("alice.liddell@mail.example") }, errPanicked.Error()},
		{"panic with an error", func() error { panic(io.ErrUnexpectedEOF) }, errPanicked.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				bad := message(1)
				box := &mailbox{fail: func(_ context.Context, m verification.Message) error {
					if m.ID == bad.ID {
						return tt.fail()
					}
					return nil
				}}
				o := r.outbox(box, oneWorker)
				r.put(o, bad)
				r.put(o, message(2))
				o.Start()
				time.Sleep(30 * time.Minute)
				r.stop(o)
				wantSends(t, box, 2, 2)
				r.wantStored(0)
				events := r.diary.all()
				slices.SortFunc(events, func(a, b Event) int { return strings.Compare(a.Outcome, b.Outcome) })
				if len(events) != 2 || events[0].Outcome != Failed || events[1].Outcome != Sent {
					t.Fatalf("events = %+v, want one failed and one sent", events)
				}
				if err := events[0].Err; err == nil || err.Error() != tt.want || events[0].Operator {
					t.Errorf("error = %v, for the operator %v, want %q, and nothing to mend", err, events[0].Operator, tt.want)
				}
			})
		})
	}
}

// TestSetSender: a transport that is made after the outbox is used.
func TestSetSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := New(Config{Store: r.store, Keys: r.keys})
		o.SetSender(threepid.Email, box)
		r.put(o, message(1))
		o.Start()
		synctest.Wait()
		r.stop(o)
		wantSends(t, box, 1, 1)
	})
}

// TestTimeoutIsTriedAgain: a send that takes too long is cut off, and whatever
// its error says, the next one may do better.
func TestTimeoutIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		slow := true
		box := &mailbox{fail: func(ctx context.Context, _ verification.Message) error {
			if !slow {
				return nil
			}
			slow = false
			<-ctx.Done()
			return errors.New("use of closed network connection")
		}}
		o := r.outbox(box)
		r.put(o, message(1))
		o.Start()
		time.Sleep(5 * time.Minute)
		r.stop(o)
		r.wantOutcomes("deferred sent")
		e := r.diary.all()
		if len(e) != 2 || e[0].Duration != DefaultSendTimeout || e[0].Tries != 1 || e[1].Tries != 2 {
			t.Errorf("events = %+v, want a first try of %s and a second one", e, DefaultSendTimeout)
		}
	})
}

// TestExpiredIsDroppedAndReported: a link that no longer works is not sent.
func TestExpiredIsDroppedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		m := message(1)
		r.put(o, m)
		deferred := message(2)
		at := r.put(o, deferred)
		rec, err := o.claim(at)
		if err != nil {
			t.Fatal(err)
		}
		rec.NotBefore = deferred.Expires.Add(time.Hour).UnixMilli() // never, that is
		if err := o.settle(at, rec, Deferred); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(m.Expires) + afterlife/2)
		o.Start()
		synctest.Wait()
		r.stop(o)
		wantSends(t, box, 0, 0)
		r.wantOutcomes(Expired + " " + Expired)
		r.wantStored(0)
		r.put(o, m)
		time.Sleep(time.Until(m.Expires.Add(afterlife)) - time.Millisecond)
		r.wantStored(1)
		time.Sleep(time.Millisecond)
		r.wantStored(0) // nobody was there to see
		if e := r.diary.all()[0]; e.Pseudonym == "" || e.Duration != 0 || e.Purpose != threepid.Password {
			t.Errorf("event = %+v, want one that says whose message it was", e)
		}
	})
}

// TestNoRandomnessNoClaim: a lease without a name of its own could be settled
// by another try.
func TestNoRandomnessNoClaim(t *testing.T) {
	r := newRig(t)
	o := r.outbox(nil, func(c *Config) { c.Random = bytes.NewReader(nil) })
	rec, err := o.claim(r.put(o, message(1)))
	if rec != nil || !errors.Is(err, io.EOF) {
		t.Errorf("claim = %v, %v, want io.EOF", rec, err)
	}
}
