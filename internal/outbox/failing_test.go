// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestStoreFailsOnceAtEachAccess: whichever it is, while a message is claimed, while
// its lease is prolonged, or while its end is written down, every message is sent in
// its turn, none more often than it was asked to be, and their sessions know of it.
func TestStoreFailsOnceAtEachAccess(t *testing.T) {
	for at, over := 1, false; !over; at++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
			disk.Arm(at)
			box := &mailbox{}
			box.fail = func(_ context.Context, m verification.Message) error {
				_, sends := box.count()
				switch sends {
				case 1:
					time.Sleep(staleAfter + time.Second) // the other one is claimed, and waits
				case 2:
					return sendError{text: "greylisted", temporary: true}
				}
				return nil
			}
			o := r.outbox(box, oneWorker, func(c *Config) { c.Store = disk })
			svc := r.service(o)
			o.Start()
			synctest.Wait()
			var sids []string
			for _, secret := range []string{"s1", "s2"} {
				opened, err := svc.RequestToken(t.Context(), ask(secret))
				if err != nil {
					t.Fatal(err)
				}
				sids = append(sids, string(opened.SID))
				synctest.Wait()
			}
			time.Sleep(10 * time.Minute)
			r.stop(o)
			wantSends(t, box, 2, 3)
			r.wantStored(0)
			if waiting, sending := o.tally.total.Load(), len(o.own.slots); waiting != 0 || sending != 0 {
				t.Errorf("%d are counted, and %d as being sent, want none", waiting, sending)
			}
			for _, sid := range sids {
				if a, err := svc.Describe(t.Context(), threepid.SID(sid)); err != nil || a.Delivery != verification.Delivered {
					t.Errorf("Describe = %+v, %v, want delivered", a, err)
				}
			}
			if over = disk.Broke() == ""; t.Failed() {
				t.Fatalf("access %d failed: %s", at, disk.Broke())
			}
		})
	}
}

// TestClaimThatCannotBeWritten is none, be it of a message that has expired or of one
// that is to be sent; and it can be made again.
func TestClaimThatCannotBeWritten(t *testing.T) {
	for _, life := range []time.Duration{time.Minute, 2 * time.Hour} {
		for at, over := 1, false; !over; at++ {
			now := time.Now()
			r := newRig(t)
			disk := &storetest.Breaking{Store: storetest.NewMemory(func() time.Time { return now }), Err: errDiskFull}
			r.store = disk
			o := r.outbox(nil, func(c *Config) { c.Now = func() time.Time { return now } })
			svc := r.service(o, func(c *verification.Config) { c.Now, c.TokenLifetime = o.cfg.Now, life })
			opened, err := svc.RequestToken(t.Context(), ask("s1"))
			if err != nil {
				t.Fatal(err)
			}
			key, _ := verification.OutboxKey(string(opened.SID + ".1"))
			now = now.Add(time.Minute)
			disk.Arm(at)
			rec, err := o.claim(ref{partitionOf(string(opened.SID)), key})
			broke := disk.Broke()
			disk.Arm(0)
			if over = broke == ""; errors.Is(err, errDiskFull) == over || (rec != nil) != over {
				t.Fatalf("life %s, %s: claim = %+v, %v", life, broke, rec, err)
			}
			if strings.HasPrefix(broke, storetest.Committed) {
				continue
			}
			if left, waiting := r.stored(), o.tally.total.Load(); int64(left) != waiting || (left == 0) != (over && life == time.Minute) {
				t.Fatalf("life %s, %s: %d are left and %d are counted", life, broke, left, waiting)
			}
		}
	}
}

// TestALeaseThatNobodyKnowsOfEnds: what is written although the store says it failed, at
// whichever lease of one message, makes no mail uncertain that was never sent.
func TestALeaseThatNobodyKnowsOfEnds(t *testing.T) {
	for at, over := 1, false; !over; at++ {
		synctest.Test(t, func(t *testing.T) {
			r, m := newRig(t), message(1)
			disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
			o := r.outbox(nil, func(c *Config) { c.Store = disk })
			message := r.put(o, m)
			disk.Arm(at)
			rec, err := o.claim(message)
			if err == nil {
				_, err = o.renew(message, rec)
			}
			over = disk.Broke() == ""
			if rec, failed := r.open(o, message); failed != nil || rec.Lease == "" != (err != nil) || rec.Uncertain || rec.Again {
				t.Errorf("%s: %+v, %v", disk.Broke(), rec, failed)
			}
		})
	}
}

// TestOutcomeIsWrittenWholly, at the second attempt if one access fails: the message
// is gone, it is not counted, and its session knows what became of it and why.
func TestOutcomeIsWrittenWholly(t *testing.T) {
	for at, over := 1, false; !over; at++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
			o := r.outbox(nil, func(c *Config) { c.Store = disk })
			svc := r.service(o)
			opened, err := svc.RequestToken(t.Context(), ask("s1"))
			if err != nil {
				t.Fatal(err)
			}
			key, _ := verification.OutboxKey(string(opened.SID + ".1"))
			message := ref{partitionOf(string(opened.SID)), key}
			rec, err := o.claim(message)
			if err != nil {
				t.Fatal(err)
			}
			rec.said = "550 nobody"
			disk.Arm(at)
			err = o.settle(message, rec, Failed)
			broke := disk.Broke()
			disk.Arm(0)
			// What was written although it failed is counted until the next sweep.
			counted := map[bool]int64{true: 1}[strings.HasPrefix(broke, storetest.Committed)]
			if over = broke == ""; err != nil || r.stored() != 0 || o.tally.total.Load() != counted {
				t.Errorf("settle = %v, %d are left, %d are counted", err, r.stored(), o.tally.total.Load())
			}
			found, err := svc.FindByAddress(t.Context(), threepid.ThreePID{Medium: threepid.Email, Address: testAddress})
			if err != nil || len(found) != 1 || found[0].Delivery != verification.Failed || found[0].Reply.Text != rec.said {
				t.Errorf("FindByAddress = %+v, %v", found, err)
			}
			if t.Failed() {
				t.Fatalf("access %d failed: %s", at, broke)
			}
		})
	}
}

// TestPutThatFails counts nothing, and says why.
func TestPutThatFails(t *testing.T) {
	r := newRig(t)
	disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
	o := r.outbox(nil)
	m := message(1)
	for _, access := range []int{1, 2, 0} {
		disk.Arm(access)
		err := disk.Update(t.Context(), partitionOf(m.ID), func(txn store.Txn) error { return o.Put(txn, m) })
		if want := access == 0; (err == nil) != want || !want && !errors.Is(err, errDiskFull) {
			t.Errorf("Put with access %d failing = %v", access, err)
		}
	}
	r.wantStored(1)
	if got := o.tally.total.Load(); got != 1 {
		t.Errorf("tally = %d, want 1", got)
	}
}

// TestLostLeaseIsNotTouched: whoever overran their lease neither prolongs nor ends
// that of the next, and does not note that it takes long.
func TestLostLeaseIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := r.outbox(nil)
		at := r.put(o, message(1))
		first, err := o.claim(at)
		if err != nil || first == nil {
			t.Fatalf("claim = %+v, %v", first, err)
		}
		time.Sleep(DefaultSendTimeout + leaseMargin)
		second, err := o.claim(at)
		if err != nil || second == nil || second.Lease == first.Lease {
			t.Fatalf("claim of the next = %+v, %v", second, err)
		}
		before := r.raw(at)
		if got, err := o.renew(at, first); got != nil || err != nil {
			t.Errorf("renew = %+v, %v, want nothing", got, err)
		}
		o.waitLong(at, first.Lease)
		for _, outcome := range []string{Sent, Deferred, Failed, Expired, Uncertain, Suppressed, returned} {
			if err := o.settle(at, first, outcome); err != nil {
				t.Errorf("settle as %q: %v", outcome, err)
			}
		}
		if r.raw(at) != before || o.tally.total.Load() != 1 {
			t.Errorf("the record was changed, or the tally is %d", o.tally.total.Load())
		}
		o.waitLong(at, second.Lease)
		rec, err := r.open(o, at)
		end := time.Now().Add(transport.DefaultHandoverTimeout + leaseMargin)
		if err != nil || !rec.Uncertain || rec.LeaseUntil != end.UnixMilli() || rec.NotBefore != end.Add(DefaultLateness).UnixMilli() {
			t.Errorf("after the holder's waitLong: %+v, %v", rec, err)
		}
	})
}

// raw is what is stored of a message.
func (r *rig) raw(at ref) (sealed string) {
	r.Helper()
	err := r.store.View(r.Context(), at.partition, func(txn store.Txn) error {
		raw, err := txn.Get(at.key)
		sealed = string(raw)
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return sealed
}

func (r *rig) open(o *Outbox, at ref) (*record, error) {
	return o.codec.open(at.key, []byte(r.raw(at)))
}

// TestWaitLongThatCannotBeNoted is the operator's business, unless the message was
// withdrawn.
func TestWaitLongThatCannotBeNoted(t *testing.T) {
	for name, tt := range map[string]struct {
		access int
		keys   byte
		want   error
	}{
		"in order": {0, 1, nil}, "not begun": {1, 1, errDiskFull}, "not read": {2, 1, errDiskFull}, "not written": {3, 1, errDiskFull}, "another key": {0, 2, errUnreadable},
	} {
		r := newRig(t)
		disk := &storetest.Breaking{Store: r.store, Err: errDiskFull}
		writer := r.outbox(nil)
		at := r.put(writer, message(1))
		rec, err := writer.claim(at)
		if err != nil {
			t.Fatal(err)
		}
		o := r.outbox(nil, func(c *Config) { c.Store, c.Keys = disk, testKeys(t, tt.keys) })
		disk.Arm(tt.access)
		o.waitLong(at, rec.Lease)
		o.waitLong(ref{at.partition, at.key + "withdrawn"}, rec.Lease)
		events := r.diary.all()
		if tt.want == nil && len(events) != 0 || tt.want != nil && (len(events) != 1 || !errors.Is(events[0].Err, tt.want) || !events[0].Operator) {
			t.Errorf("%s: told %+v, want %v", name, events, tt.want)
		}
	}
}

// TestTurnThatComesWithTheEnd: whichever comes first, nothing is sent any more, no
// turn is kept, and the message is free for the next outbox.
func TestTurnThatComesWithTheEnd(t *testing.T) {
	r := newRig(t)
	o := r.outbox(nil, oneWorker)
	svc := r.service(o)
	opened, err := svc.RequestToken(t.Context(), ask("s1"))
	if err != nil {
		t.Fatal(err)
	}
	key, _ := verification.OutboxKey(string(opened.SID + ".1"))
	at := ref{partitionOf(string(opened.SID)), key}
	o.stop()
	for range 50 { // a select between two ready cases picks any
		rec, err := o.claim(at)
		if err != nil || rec == nil {
			t.Fatalf("claim = %+v, %v", rec, err)
		}
		if got := o.turn(o.now(), at, rec); got != nil || len(o.own.slots) != 0 {
			t.Fatalf("turn = %+v, and %d are being sent", got, len(o.own.slots))
		}
		if rec, err = r.open(o, at); err != nil || rec.Lease != "" || rec.LeaseUntil != 0 || rec.Tries != 0 {
			t.Fatalf("given back as %+v, %v", rec, err)
		}
	}
	if a, err := svc.Describe(t.Context(), opened.SID); err != nil || a.Delivery != verification.Waiting {
		t.Errorf("Describe = %+v, %v, want it waiting as before", a, err)
	}
}

// TestCheckComposesOneMailOfEachKind: what would fail for one kind only is found.
func TestCheckComposesOneMailOfEachKind(t *testing.T) {
	seen := map[string]bool{}
	kind := func(m verification.Message) string {
		return fmt.Sprint(m.Purpose, m.Proof, m.Decoy, m.Notice)
	}
	s := newMailSender(t, nil)
	s.Refuse = func(sid threepid.SID, refusal threepid.RefusalToken) string {
		return "https://matrix.example.org/refuse?sid=" + string(sid) + "&t=" + string(refusal)
	}
	s.Tag = func(m verification.Message) string {
		proves, answers := !m.Decoy && m.Notice == "", m.Notice == ""
		if m.ID == "" || m.SID == "" || m.Medium != threepid.Email || m.Address == "" || m.Created.IsZero() || m.Expires.Sub(m.Created) != time.Hour ||
			(m.Token != "") != proves || (m.Refusal != "") != answers {
			t.Errorf("%+v is not like any message", m)
		}
		seen[kind(m)] = true
		return "tag"
	}
	if err := s.Check(); err != nil {
		t.Fatalf("Check() = %v", err)
	}
	if want := 3*3 + len(verification.Notices); len(seen) != want {
		t.Errorf("%d kinds were composed, want %d", len(seen), want)
	}
	for bad := range seen {
		s.Tag = func(m verification.Message) string { return strings.Repeat("!", map[bool]int{true: 1}[kind(m) == bad]) }
		if err := s.Check(); !errors.Is(err, transport.ErrInvalidTag) {
			t.Errorf("%s: Check() = %v, want its tag to be refused", bad, err)
		}
	}
}
