// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// tryPut commits a message, or returns why not.
func (r *rig) tryPut(o *Outbox, m verification.Message) error {
	return r.store.Update(r.Context(), partitionOf(m.ID), func(txn store.Txn) error { return o.Put(txn, m) })
}

// TestFullOutboxRefuses: a request for which there is no room is refused as a
// whole, and told when to come back; there is room again when messages are gone.
func TestFullOutboxRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newRig(t), &mailbox{}
		relay := make(chan struct{})
		box.fail = func(context.Context, verification.Message) error { <-relay; return nil }
		o := r.outbox(box, func(c *Config) { c.MaxQueued = 5 })
		o.Start()
		for n := range 5 {
			r.put(o, message(n))
		}
		err := r.tryPut(o, message(5))
		var asks interface{ RetryAfter() time.Duration }
		if !errors.Is(err, ErrFull) || !errors.As(err, &asks) || asks.RetryAfter() <= 0 || !temporary(err) {
			t.Errorf("Put of a message too many = %v, want ErrFull with a time to come back", err)
		}
		r.wantStored(5)
		close(relay)
		time.Sleep(time.Minute)
		wantSends(t, box, 5, 5)
		if err := r.tryPut(o, message(5)); err != nil {
			t.Errorf("Put after all were sent = %v", err)
		}
		r.stop(o)
	})
}

// TestFullPassesThroughTheDomain: the request is refused with that very error,
// and leaves no session behind.
func TestFullPassesThroughTheDomain(t *testing.T) {
	r := newRig(t)
	o := r.outbox(nil, func(c *Config) { c.MaxQueued = 1 })
	svc := r.service(o)
	if _, err := svc.RequestToken(t.Context(), ask("s1")); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.RequestToken(t.Context(), ask("s2")); !errors.Is(err, ErrFull) {
		t.Errorf("RequestToken = %v, want ErrFull", err)
	}
	r.wantStored(1)
	if found, err := svc.FindByPseudonym(t.Context(), svc.Pseudonym(testAddress)); err != nil || len(found) != 1 {
		t.Errorf("%d sessions are left (%v), want that of the first request", len(found), err)
	}
}

// TestTallyIsSetRight: transactions that failed and messages that vanished are
// counted wrong until the next sweep, not for ever.
func TestTallyIsSetRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := r.outbox(nil, func(c *Config) { c.MaxQueued = 4 })
		abort := errors.New("abort")
		for n := range 4 {
			m := message(n)
			err := r.store.Update(t.Context(), partitionOf(m.ID), func(txn store.Txn) error {
				return errors.Join(o.Put(txn, m), abort)
			})
			if !errors.Is(err, abort) {
				t.Fatal(err)
			}
		}
		// Nobody sweeps an outbox that has not been started. It counts when it
		// seems to be full.
		if err := r.tryPut(o, message(9)); !errors.Is(err, ErrFull) {
			t.Errorf("Put = %v, want ErrFull for now", err)
		}
		synctest.Wait()
		if err := r.tryPut(o, message(9)); err != nil {
			t.Errorf("Put after it was counted = %v", err)
		}
		if got := o.tally.total.Load(); got != 1 {
			t.Errorf("tally = %d, want 1", got)
		}
		// One that is started counts with its sweep: also what others put.
		other := r.outbox(&mailbox{fail: func(ctx context.Context, _ verification.Message) error { <-ctx.Done(); return ctx.Err() }})
		other.Start()
		synctest.Wait()
		if got := other.tally.total.Load(); got != 1 {
			t.Errorf("tally of the other = %d, want 1", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := other.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Stop = %v", err)
		}
	})
}

// TestTallyFallsWithEachMessage: there is room again at once, and not with the next
// sweep, whatever became of it; unless it waits for another try.
func TestTallyFallsWithEachMessage(t *testing.T) {
	var answer error
	for name, tt := range map[string]struct {
		prepare func(m *verification.Message)
		answer  error
		want    int64
	}{
		Sent:    {func(*verification.Message) {}, nil, 0},
		Failed:  {func(*verification.Message) {}, sendError{text: "no such user"}, 0},
		Expired: {func(m *verification.Message) { m.Expires = time.Now() }, nil, 0}, // by the claim
		"expired while it was tried": {
			func(m *verification.Message) { m.Expires = time.Now().Add(backoffBase - time.Second) }, sendError{text: "later", temporary: true}, 0,
		},
		Suppressed: {func(m *verification.Message) { m.Address = "bounced@mail.example" }, nil, 0},
		Uncertain:  {func(m *verification.Message) { m.Expires = time.Now().Add(backoffBase) }, lateError{sendError{text: "lost", temporary: true}}, 0},
		Deferred:   {func(*verification.Message) {}, sendError{text: "later", temporary: true}, 1},
	} {
		r := newRig(t)
		o := r.outbox(&mailbox{fail: func(context.Context, verification.Message) error { return answer }}, func(c *Config) {
			c.Suppressed = func(_ context.Context, m verification.Message) (string, error) {
				return map[string]string{"bounced@mail.example": "bounced"}[m.Address], nil
			}
		})
		answer = tt.answer
		m := message(1)
		tt.prepare(&m)
		at := r.put(o, m)
		if got := o.tally.total.Load(); got != 1 {
			t.Errorf("%s: tally = %d before it is tried, want 1", name, got)
		}
		o.deliver(o.now(), at)
		o.wg.Wait()
		r.wantOutcomes(strings.Fields(name)[0])
		if got := o.tally.total.Load(); got != tt.want || got != int64(r.stored()) {
			t.Errorf("%s: tally = %d with %d stored, want %d", name, got, r.stored(), tt.want)
		}
	}
}

// TestTallyOfOddPartitions: what is no partition of ours counts nowhere.
func TestTallyOfOddPartitions(t *testing.T) {
	var c tally
	for _, p := range []store.Partition{"", "zz", "ff", "40", "-1"} {
		c.add(p, 1)
		c.set(p, 7)
	}
	if got := c.total.Load(); got != 0 {
		t.Errorf("total = %d, want 0", got)
	}
	c.add("3f", 3)
	c.set("3f", 2)
	c.add("00", 1)
	if got := c.total.Load(); got != 3 {
		t.Errorf("total = %d, want 3", got)
	}
}

// TestStatus: what waits, for how long, what is under way, and what went wrong
// in words that name nobody.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		box := &mailbox{fail: func(ctx context.Context, m verification.Message) error {
			if m.Address == "held@mail.example" {
				<-ctx.Done()
				return ctx.Err()
			}
			return sendError{text: "451 4.7.1 <" + m.Address + "> greylisted", temporary: true, operator: true}
		}}
		o := r.outbox(box, func(c *Config) { c.MaxQueued = 77; c.Random = maximal{} })
		for n := range 3 {
			r.put(o, message(n))
		}
		held := message(4)
		held.Address = "held@mail.example"
		r.put(o, held)
		sms := message(5)
		sms.Medium = threepid.MSISDN
		r.put(o, sms)
		stranger := r.outbox(nil, func(c *Config) { c.Keys = testKeys(t, 9) })
		r.put(stranger, message(6))
		r.put(stranger, message(6+sealed.Partitions)) // in the same partition
		o.Start()
		time.Sleep(3 * time.Second)
		got, err := o.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Waiting[threepid.Email] != 4 || got.Deferred != 3 || got.Unreadable != 2 || got.InFlight != 1 ||
			got.Oldest != 3*time.Second || got.MaxQueued != 77 || got.Waiting[threepid.MSISDN] != 1 {
			t.Errorf("status = %+v", got)
		}
		if idle, err := r.outbox(nil, func(c *Config) { c.Store = storetest.NewMemory(nil) }).Status(t.Context()); err != nil || len(idle.Waiting) != 1 || idle.Oldest != 0 {
			t.Errorf("with nothing to do: %+v, %v, want zero for each transport", idle, err)
		}
		if o.tally.add("00", 50); o.tally.total.Load() != 57 {
			t.Errorf("tally = %d", o.tally.total.Load())
		}
		if _, err := o.Status(t.Context()); err != nil || o.tally.total.Load() != 7 {
			t.Errorf("tally = %d after all were counted, %v, want 7", o.tally.total.Load(), err)
		}
		texts := map[string]LastError{}
		for _, e := range got.Errors {
			texts[e.Text] = e
		}
		if e := texts["451 4.7.1 <[address]> greylisted"]; e.Count != 3 || !e.Operator || e.Outcome != Deferred || e.Medium != threepid.Email {
			t.Errorf("errors = %+v", got.Errors)
		}
		if len(texts) != 3 || texts[errNoSender.Error()].Outcome != Deferred || texts[errUnreadable.Error()].Outcome != Dropped {
			t.Errorf("errors = %+v", got.Errors)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := o.Status(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Status with an ended context = %v", err)
		}
		_ = o.Stop(ended)
	})
}

// TestHistoryIsShort: only the last different errors are remembered.
func TestHistoryIsShort(t *testing.T) {
	var h history
	for n := range 3 * maxErrors {
		h.add(time.Unix(int64(n), 0), Event{Outcome: Failed, Err: errors.New(string(rune('a' + n)))})
	}
	h.add(time.Unix(99, 0), Event{Outcome: Failed, Err: errors.New(string(rune('a' + 3*maxErrors - 2)))})
	got := h.last()
	if len(got) != maxErrors || got[0].Count != 2 || got[0].At != time.Unix(99, 0) || got[1].Text != string(rune('a'+3*maxErrors-1)) {
		t.Errorf("last errors = %+v", got)
	}
	h = history{}
	for _, e := range []Event{{Outcome: Failed}, {Outcome: Deferred}, {Outcome: Failed, Medium: threepid.Email}} {
		e.Err = errDiskFull
		h.add(time.Unix(1, 0), e)
	}
	if got := h.last(); len(got) != 3 || got[0] != (LastError{At: time.Unix(1, 0), Count: 1, Medium: threepid.Email, Outcome: Failed, Text: errDiskFull.Error()}) {
		t.Errorf("of one text = %+v, want each medium and outcome", got)
	}
}
