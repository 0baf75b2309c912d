// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// watched is a store that remembers what it was asked to do.
type watched struct {
	store.Store
	// repeat, if set, happens between the two runs that every update then has, of
	// which the first is in vain.
	repeat func()
	// scan, if set, is what a scan of the first partition ends with.
	scan func() error

	mu      sync.Mutex
	updates []context.Context
	left    []time.Duration // what each of them was given
	scans   int             // of the first partition
}

func (w *watched) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	w.mu.Lock()
	w.updates = append(w.updates, ctx)
	end, _ := ctx.Deadline()
	w.left = append(w.left, time.Until(end))
	w.mu.Unlock()
	if w.repeat != nil {
		conflict := errors.New("conflict")
		if err := w.Store.Update(ctx, p, func(txn store.Txn) error { return errors.Join(fn(txn), conflict) }); !errors.Is(err, conflict) {
			return err
		}
		w.repeat()
	}
	return w.Store.Update(ctx, p, fn)
}

func (w *watched) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	if p == sealed.PartitionName(0) {
		w.mu.Lock()
		w.scans++
		w.mu.Unlock()
		if w.scan != nil {
			if err := w.scan(); err != nil {
				return err
			}
		}
	}
	return w.Store.Scan(ctx, p, prefix, fn)
}

func (w *watched) counts() (updates, scans int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.updates), w.scans
}

// watching is a rig over a watched store, and an outbox over that.
func watching(t *testing.T, s Sender, change ...func(*Config)) (*rig, *watched, *Outbox) {
	t.Helper()
	r := newRig(t)
	w := &watched{Store: r.store}
	return r, w, r.outbox(s, append(change, func(c *Config) { c.Store = w })...)
}

// TestNoAccessTakesForEver: neither one to the store nor a send, and of none anything
// goes on when it is over.
func TestNoAccessTakesForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var send context.Context
		r, w, o := watching(t, senderFunc(func(ctx context.Context, _ verification.Message) error {
			send = ctx
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != DefaultSendTimeout {
				t.Errorf("a send may take until %s", end)
			}
			return sendError{text: "later", temporary: true}
		}))
		at := r.put(o, message(1))
		o.deliver(o.now(), at)
		o.wg.Wait()
		time.Sleep(time.Minute)
		rec, err := o.claim(at)
		if err != nil || rec == nil {
			t.Fatalf("claim = %+v, %v", rec, err)
		}
		if rec, err = o.renew(at, rec); err != nil || rec == nil {
			t.Fatalf("renew = %+v, %v", rec, err)
		}
		o.waitLong(at, rec.Lease)
		if want := slices.Repeat([]time.Duration{storeTimeout}, 5); !slices.Equal(w.left, want) {
			t.Errorf("the accesses were given %v, want %v", w.left, want)
		}
		for i, ctx := range append(w.updates, send) {
			if ctx.Err() == nil {
				t.Errorf("access %d is not over", i)
			}
		}
	})
}

// TestARepeatedTransaction means what its last run has found: a store may run it again.
func TestARepeatedTransaction(t *testing.T) {
	r, w, o := watching(t, nil)
	at := r.put(o, message(1))
	withdraw := func() {
		err := r.store.Update(t.Context(), at.partition, func(txn store.Txn) error { return txn.Delete(at.key) })
		if err != nil {
			t.Fatal(err)
		}
	}
	w.repeat = withdraw
	if got, err := o.claim(at); got != nil || err != nil {
		t.Errorf("claim of what was withdrawn meanwhile = %+v, %v", got, err)
	}
	r.put(o, message(1))
	w.repeat = nil
	rec, err := o.claim(at)
	if err != nil {
		t.Fatal(err)
	}
	w.repeat = withdraw
	before := o.tally.total.Load()
	if err := o.settle(at, rec, Sent); err != nil || o.tally.total.Load() != before {
		t.Errorf("settle = %v, and the tally went from %d to %d for what was withdrawn", err, before, o.tally.total.Load())
	}
}

// TestTurnLooksAgainOnlyIfItTookLong: what was claimed just now need not be looked at
// once more, unless it is the last time that it is sent.
func TestTurnLooksAgainOnlyIfItTookLong(t *testing.T) {
	for waited, want := range map[time.Duration]int{0: 0, staleAfter - time.Millisecond: 0, staleAfter: 1, time.Minute: 1, -1: 1} {
		synctest.Test(t, func(t *testing.T) {
			r, w, o := watching(t, nil)
			rec, err := o.claim(r.put(o, message(1)))
			if err != nil {
				t.Fatal(err)
			}
			rec.Uncertain = waited < 0
			time.Sleep(waited)
			before, _ := w.counts()
			got := o.turn(o.now(), ref{partitionOf(rec.Message.ID), "o/" + rec.Message.ID[2:]}, rec)
			if got == nil || len(o.own.slots) != 1 {
				t.Fatalf("turn = %+v with %d being sent", got, len(o.own.slots))
			}
			if after, _ := w.counts(); after-before != want {
				t.Errorf("after %s the store was asked %d times, want %d", waited, after-before, want)
			}
		})
	}
}

// TestTurnOfWhatHasExpired takes no place from others, nor does one that cannot be
// looked at again, which is told.
func TestTurnOfWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		f := &faulty{Store: r.store}
		o := r.outbox(nil, oneWorker, func(c *Config) { c.Store = f })
		for _, life := range []time.Duration{time.Second, time.Hour} {
			m := message(1)
			m.Expires = m.Created.Add(life)
			at := r.put(o, m)
			rec, err := o.claim(at)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(staleAfter)
			if life == time.Hour {
				f.failUpdates.Store(1)
			}
			if got := o.turn(o.now(), at, rec); (got != nil && got.ended == Expired) != (life == time.Second) || len(o.own.slots) != 0 {
				t.Errorf("life %s: turn = %+v with %d being sent", life, got, len(o.own.slots))
			}
		}
		if e := r.diary.all(); len(e) != 1 || !errors.Is(e[0].Err, errDiskFull) || e[0].Outcome != Deferred || !e[0].Operator {
			t.Errorf("events = %+v, want the store's failure", e)
		}
	})
}

// TestClaimsRunAhead of what is sent, and no further than that.
func TestClaimsRunAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, want = 2, 2 * (1 + ahead)
		relay := make(chan struct{})
		box := &mailbox{fail: func(context.Context, verification.Message) error { <-relay; return nil }}
		r, _, o := watching(t, box, func(c *Config) { c.Workers = workers })
		var all []ref
		for n := range 3 * want {
			all = append(all, r.put(o, message(n)))
		}
		o.Start()
		synctest.Wait()
		claimed := 0
		for _, at := range all {
			if rec, err := r.open(o, at); err != nil || rec.Lease != "" {
				claimed++
			}
		}
		if wantSends(t, box, workers, workers); claimed != want {
			t.Errorf("%d are claimed while %d are sent, want %d", claimed, workers, want)
		}
		close(relay)
		r.stop(o)
	})
}

// TestClosedStoreIsAskedOnce: it does not come back, so that nobody waits for it.
func TestClosedStoreIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w, o := watching(t, nil)
		at := r.put(o, message(1))
		rec, err := o.claim(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := o.settle(at, rec, Sent); !errors.Is(err, store.ErrClosed) {
			t.Errorf("settle = %v, want ErrClosed", err)
		}
		if got, _ := w.counts(); got != 2 {
			t.Errorf("the store was asked %d times, want once to claim and once to settle", got)
		}
	})
}

// TestStoppedOutboxLeavesTheStoreAlone: whoever stops it closes the store next. What
// it has begun is cut off, too.
func TestStoppedOutboxLeavesTheStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w, o := watching(t, &mailbox{})
		r.put(o, message(1))
		r.stop(o)
		o.Start()
		o.Wake("01", message(1).ID)
		time.Sleep(time.Minute)
		if updates, scans := w.counts(); updates != 0 || scans != 0 || o.live.Err() == nil {
			t.Errorf("the store was asked %d times and searched %d times; it lives: %v", updates, scans, o.live.Err() == nil)
		}
	})
}

// TestFullOutboxCounts what nobody sweeps: one at a time, again when that is over, and
// again when it could not; and not at all where somebody does sweep.
func TestFullOutboxCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w, o := watching(t, nil, func(c *Config) { c.MaxQueued = 1 })
		r.put(o, message(0))
		r.put(r.outbox(nil), message(sealed.Partitions)) // in the same partition
		answers := make(chan error)
		w.scan = func() error { return <-answers }
		for n, answer := range []error{nil, errDiskFull, nil} {
			for range 3 {
				if err := r.tryPut(o, message(9)); !errors.Is(err, ErrFull) {
					t.Errorf("Put = %v, want ErrFull", err)
				}
				synctest.Wait()
			}
			if _, scans := w.counts(); scans != n+1 {
				t.Errorf("counted %d times, want %d", scans, n+1)
			}
			time.Sleep(DefaultSweep)
			answers <- answer
			synctest.Wait()
		}
		if got := o.tally.total.Load(); got != 2 {
			t.Errorf("tally = %d, want 2", got)
		}
		told := r.diary.all()
		if len(told) != 3 || !errors.Is(told[0].Err, ErrFull) || !told[0].Operator || told[0].Outcome != Failed ||
			told[0].Purpose != threepid.Password || told[0].Medium != threepid.Email || !errors.Is(told[2].Err, errDiskFull) {
			t.Errorf("events = %+v, want that it is full, and once that it cannot be counted", told)
		}
		w.scan = nil
		o.Start()
		synctest.Wait()
		before := w.scans
		o.tally.add("01", 1) // full again, for all it knows
		if err := r.tryPut(o, message(9)); !errors.Is(err, ErrFull) {
			t.Errorf("Put = %v, want ErrFull", err)
		}
		synctest.Wait()
		if w.scans != before {
			t.Error("counted what is swept anyway")
		}
		r.stop(o)
	})
}
