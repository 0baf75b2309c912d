// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func oneWorker(c *Config) { c.Workers = 1 }

// TestStopDrains: what is being sent is finished, what is queued stays.
func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		box := &mailbox{fail: func(context.Context, verification.Message) error {
			time.Sleep(8 * time.Second)
			return nil
		}}
		o := r.outbox(box, oneWorker)
		for n := range 5 {
			r.put(o, message(n))
		}
		o.Start()
		time.Sleep(time.Second)
		start := time.Now()
		r.stop(o)
		if got := time.Since(start); got != 7*time.Second {
			t.Errorf("Stop took %s, want the 7s that the send still needed", got)
		}
		wantSends(t, box, 1, 1)
		r.wantOutcomes("sent")
		r.wantStored(4)

		next := r.outbox(box)
		next.Start()
		time.Sleep(time.Minute)
		r.stop(next)
		wantSends(t, box, 5, 5)
	})
}

// TestStopCutsOff: when Stop's time is over, a send is cut off, and the
// message is at once free for the next outbox.
func TestStopCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		hangs := &mailbox{fail: func(ctx context.Context, _ verification.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		o := r.outbox(hangs)
		r.put(o, message(1))
		o.Start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := o.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop() = %v, want the deadline", err)
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("Stop took %s, want 3s", got)
		}
		r.wantOutcomes("deferred")

		box := &mailbox{}
		next := r.outbox(box)
		next.Start()
		synctest.Wait()
		wantSends(t, box, 1, 1)
		r.stop(next)
	})
}

// TestStopIsBoundedWhateverTheSender: a sender that ignores its context does
// not hold up the configuration that follows.
func TestStopIsBoundedWhateverTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := r.outbox(&mailbox{fail: func(context.Context, verification.Message) error {
			time.Sleep(time.Minute)
			return nil
		}})
		r.put(o, message(1))
		o.Start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := o.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop() = %v, want the deadline", err)
		}
		if got := time.Since(start); got != 3*time.Second+cutOff {
			t.Errorf("Stop took %s, want %s", got, 3*time.Second+cutOff)
		}
		time.Sleep(time.Minute) // it returns, and its success is still noted
		synctest.Wait()
		r.wantOutcomes("sent")
		r.wantStored(0)
	})
}

// TestStopTwiceAndWithoutStart: every order of calls that a failed reload can
// bring about is harmless.
func TestStopTwiceAndWithoutStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		o := r.outbox(box)
		r.stop(o)
		o.Start() // too late
		m := message(1)
		o.Wake(r.put(o, m).partition, m.ID)
		time.Sleep(time.Minute)
		r.stop(o)
		wantSends(t, box, 0, 0)
		r.wantStored(1) // a late request of the old configuration is not lost
	})
}

// TestStopEndsAWaitingSweep: a sweep that waits for room in the queue ends too.
func TestStopEndsAWaitingSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := r.outbox(&mailbox{fail: func(ctx context.Context, _ verification.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}}, oneWorker, func(c *Config) { c.SendTimeout = time.Second })
		for n := range queueLength + 100 {
			r.put(o, message(n))
		}
		o.Start()
		synctest.Wait()
		start := time.Now()
		r.stop(o)
		if got := time.Since(start); got > 2*time.Second {
			t.Errorf("Stop took %s, want no more than one send", got)
		}
	})
}
