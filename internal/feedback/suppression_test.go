// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func TestHardBounceSuppressesFor90Days(t *testing.T) {
	b := newBench(t, Policy{})
	b.record(t, alice, hardBounce(start))
	e, ok, err := b.Lookup(context.Background(), verification.Email, alice)
	want := Entry{Reason: ReasonBounce, Since: start, Until: start.Add(90 * day), Code: "5.1.1"}
	if err != nil || !ok || e != want {
		t.Errorf("Lookup = %+v, %t, %v, want %+v", e, ok, err, want)
	}
	if got := b.reason(t, bob); got != "" {
		t.Errorf("another address is suppressed: %q", got)
	}
	b.clock.Advance(90*day - time.Second)
	if got := b.reason(t, alice); got != ReasonBounce {
		t.Errorf("a second before the end: %q", got)
	}
	b.clock.Advance(time.Second)
	if got := b.reason(t, alice); got != "" {
		t.Errorf("at the end: %q", got)
	}
}

func TestComplaintSuppressesForAYearAndOutweighsABounce(t *testing.T) {
	b := newBench(t, Policy{})
	b.record(t, alice, Report{Kind: Complaint, At: start})
	b.record(t, alice, hardBounce(start))
	if got := b.reason(t, alice); got != ReasonComplaint {
		t.Errorf("reason = %q", got)
	}
	b.clock.Advance(364 * day)
	if got := b.reason(t, alice); got != ReasonComplaint {
		t.Errorf("after 364 days: %q", got)
	}
	b.clock.Advance(day)
	if got := b.reason(t, alice); got != "" {
		t.Errorf("after a year: %q", got)
	}
}

func TestSoftBouncesSuppressOnlyWhenTheyPile(t *testing.T) {
	b := newBench(t, Policy{Strikes: 3, Window: 7 * day, Soft: 2 * day})
	b.record(t, alice, softBounce(start, "1"))
	b.clock.Advance(4 * day)
	b.record(t, alice, softBounce(b.clock.Now(), "2"))
	b.clock.Advance(3*day + time.Hour) // the first is out of the window by now
	b.record(t, alice, softBounce(b.clock.Now(), "3"))
	if got := b.reason(t, alice); got != "" {
		t.Fatalf("three in more than the window: %q", got)
	}
	b.record(t, alice, softBounce(b.clock.Now(), "4"))
	if got := b.reason(t, alice); got != ReasonSoft {
		t.Fatalf("three within the window: %q", got)
	}
	b.clock.Advance(2 * day)
	if got := b.reason(t, alice); got != "" {
		t.Errorf("after its time: %q", got)
	}
}

func TestPermanentButNotTheAddressesFaultIsSoft(t *testing.T) {
	b := newBench(t, Policy{})
	b.record(t, alice, Report{Kind: Bounce, Permanent: true, Code: "5.7.1", At: start, ID: "1"})
	if got := b.reason(t, alice); got != "" {
		t.Errorf("one refusal for policy: %q", got)
	}
	for n := range 4 {
		b.record(t, alice, Report{Kind: Bounce, Permanent: true, Code: "5.7.1", At: start, ID: fmt.Sprint("more ", n)})
	}
	if got := b.reason(t, alice); got != ReasonSoft {
		t.Errorf("five refusals for policy: %q", got)
	}
}

func TestRepetitionChangesNothing(t *testing.T) {
	b := newBench(t, Policy{Strikes: 2})
	for range 10 {
		b.record(t, alice, softBounce(start, "the same"))
		b.record(t, bob, hardBounce(start))
		b.clock.Advance(time.Hour)
	}
	if got := b.reason(t, alice); got != "" {
		t.Errorf("one soft bounce, told ten times: %q", got)
	}
	e, _, err := b.Lookup(context.Background(), verification.Email, bob)
	if want := start.Add(90 * day); err != nil || !e.Until.Equal(want) {
		t.Errorf("until = %v, %v, want %v", e.Until, err, want)
	}
}

func TestSoftBouncesWithoutIDsAreToldByTheirContent(t *testing.T) {
	b := newBench(t, Policy{Strikes: 2})
	b.record(t, alice, Report{Kind: Bounce, Code: "4.2.2", At: start, MessageID: "a@b"})
	b.record(t, alice, Report{Kind: Bounce, Code: "4.2.2", At: start, MessageID: "a@b"})
	if got := b.reason(t, alice); got != "" {
		t.Errorf("the same one twice: %q", got)
	}
	b.record(t, alice, Report{Kind: Bounce, Code: "4.2.2", At: start, MessageID: "c@d"})
	if got := b.reason(t, alice); got != ReasonSoft {
		t.Errorf("two: %q", got)
	}
}

func TestOldReportsSuppressNobody(t *testing.T) {
	b := newBench(t, Policy{})
	b.clock.Advance(400 * day)
	b.record(t, alice, hardBounce(start))
	b.record(t, alice, Report{Kind: Complaint, At: start})
	for n := range 9 {
		b.record(t, alice, softBounce(start, fmt.Sprint(n)))
	}
	if got := b.everything(t); len(got) != 0 {
		t.Errorf("%d entries of what is over", len(got))
	}
	b.cfg.Store = brokenStore{} // which is not even asked
	for _, r := range []Report{hardBounce(start), {Kind: Complaint, At: start}, softBounce(b.clock.Now().Add(-14*day), "old")} {
		b.record(t, alice, r)
	}
}

func TestReportsFromTheFutureAreOfNow(t *testing.T) {
	b := newBench(t, Policy{})
	b.record(t, alice, hardBounce(start.Add(1000*day)))
	e, _, err := b.Lookup(context.Background(), verification.Email, alice)
	if want := start.Add(90 * day); err != nil || !e.Until.Equal(want) {
		t.Errorf("until = %v, %v, want %v", e.Until, err, want)
	}
}

func TestDeliveredAndDeferredSuppressNobody(t *testing.T) {
	b := newBench(t, Policy{Strikes: 1})
	for _, k := range []Kind{Delivered, Deferred, 0} {
		b.record(t, alice, Report{Kind: k, Permanent: true, Code: "5.1.1", At: start})
	}
	if got := b.everything(t); len(got) != 0 {
		t.Errorf("%d entries", len(got))
	}
}

func TestAddNeverShortens(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	for _, d := range []time.Duration{2 * day, day} {
		if err := b.Add(ctx, verification.Email, "ALICE@example.org", ReasonManual, start.Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	e, ok, err := b.Lookup(ctx, verification.Email, alice)
	if err != nil || !ok || !e.Until.Equal(start.Add(2*day)) || e.Reason != ReasonManual {
		t.Errorf("Lookup = %+v, %t, %v", e, ok, err)
	}
}

func TestAddRefusesWhatMakesNoSense(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	later := start.Add(day)
	if err := b.Add(ctx, verification.Email, alice, "whim", later); !errors.Is(err, errReason) {
		t.Errorf("unknown reason: %v", err)
	}
	if err := b.Add(ctx, verification.Email, alice, ReasonManual, start); err == nil {
		t.Error("an end that has passed was accepted")
	}
	for _, addr := range []string{"", "nobody", "a@b@c"} {
		if err := b.Add(ctx, verification.Email, addr, ReasonManual, later); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("Add(%q): %v", addr, err)
		}
		if _, _, err := b.Lookup(ctx, verification.Email, addr); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("Lookup(%q): %v", addr, err)
		}
		if _, err := b.Remove(ctx, verification.Email, addr); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("Remove(%q): %v", addr, err)
		}
	}
	if err := b.Add(ctx, verification.MSISDN, "", ReasonManual, later); !errors.Is(err, address.ErrInvalid) {
		t.Errorf("no number: %v", err)
	}
}

func TestMediaDoNotMix(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	if err := b.Add(ctx, verification.MSISDN, "447700900123", ReasonManual, start.Add(day)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Lookup(ctx, verification.MSISDN, "447700900123"); err != nil || !ok {
		t.Errorf("number: %t, %v", ok, err)
	}
	if _, ok, err := b.Lookup(ctx, "fax", "447700900123"); err != nil || ok {
		t.Errorf("the same under another medium: %t, %v", ok, err)
	}
}

func TestRemoveForgetsEverything(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	b.record(t, alice, hardBounce(start))
	b.record(t, alice, softBounce(start, "1"))
	for _, want := range []bool{true, false} {
		if got, err := b.Remove(ctx, verification.Email, alice); err != nil || got != want {
			t.Errorf("Remove = %t, %v, want %t", got, err, want)
		}
	}
	if got := b.everything(t); len(got) != 0 {
		t.Errorf("%d entries left", len(got))
	}
}

func TestStoreHoldsNoAddressInClear(t *testing.T) {
	b := newBench(t, Policy{})
	b.record(t, alice, hardBounce(start))
	b.record(t, alice, softBounce(start, "soft-event-id"))
	all := b.everything(t)
	if len(all) != 1 {
		t.Fatalf("%d entries, want 1", len(all))
	}
	for key, value := range all {
		for _, clear := range []string{"alice", "example", "bounce", "5.1.1", "soft-event-id"} {
			if strings.Contains(key+value, clear) {
				t.Errorf("%q is in clear in %q", clear, key)
			}
		}
		if !strings.Contains(key, " x/") {
			t.Errorf("key %q", key)
		}
	}
}

func TestRecordsExpireInTheStore(t *testing.T) {
	b := newBench(t, Policy{Window: 3 * day, Soft: 2 * day})
	b.record(t, alice, softBounce(start, "1"))
	b.clock.Advance(5*day - time.Second)
	if got := len(b.everything(t)); got != 1 {
		t.Errorf("%d entries before the end, want 1", got)
	}
	b.clock.Advance(3 * time.Second)
	if got := len(b.everything(t)); got != 0 {
		t.Errorf("%d entries after the end, want 0", got)
	}
}

func TestSuppressionReportsABrokenStoreWithoutTheAddress(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	b.cfg.Store = brokenStore{}
	_, _, lookup := b.Lookup(ctx, verification.Email, alice)
	_, remove := b.Remove(ctx, verification.Email, alice)
	_, _, list := b.List(ctx, 10)
	for name, err := range map[string]error{
		"look up": lookup, "remove": remove, "list": list,
		"add":    b.Add(ctx, verification.Email, alice, ReasonManual, start.Add(day)),
		"record": b.Record(ctx, verification.Email, alice, hardBounce(start)),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want errBroken", name, err)
		} else if strings.Contains(err.Error(), "alice") {
			t.Errorf("%s: %v tells the address", name, err)
		}
	}
}

// recordVersion is the first byte of every record.
const recordVersion = 1

func TestTamperedRecordsAreErrors(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	b.record(t, alice, hardBounce(start))
	places, _, err := b.locate(verification.Email, bob)
	if err != nil {
		t.Fatal(err)
	}
	other, p := places[0].key, places[0].partition
	for key, value := range b.everything(t) {
		for name, forged := range map[string]string{
			"moved from another address": value, "empty": "", "cut": value[:20],
			"of a later version": string(b.keys.Seal(other, []byte{recordVersion + 1})),
			"no record":          string(b.keys.Seal(other, []byte{recordVersion, 0xff})),
			"nothing":            string(b.keys.Seal(other, nil)),
			"an unknown member":  string(b.keys.Seal(other, []byte{recordVersion, 0xa1, 0x18, 99, 0x01})),
			"a member twice":     string(b.keys.Seal(other, []byte{recordVersion, 0xa2, 0x05, 0x01, 0x05, 0x01})),
			"no length":          string(b.keys.Seal(other, []byte{recordVersion, 0xbf, 0xff})),
		} {
			write(t, b, p, other, forged)
			if _, ok, err := b.Lookup(ctx, verification.Email, bob); err == nil || ok {
				t.Errorf("%s (%s): %t, %v", name, key, ok, err)
			}
		}
	}
}

func TestNewSuppressionChecks(t *testing.T) {
	b := newBench(t, Policy{})
	for name, cfg := range map[string]SuppressionConfig{
		"no store":         {Keys: b.keys},
		"no keys":          {Store: b.store},
		"negative bounce":  {Store: b.store, Keys: b.keys, Policy: Policy{Bounce: -1}},
		"complaint":        {Store: b.store, Keys: b.keys, Policy: Policy{Complaint: -1}},
		"strikes":          {Store: b.store, Keys: b.keys, Policy: Policy{Strikes: -1}},
		"window":           {Store: b.store, Keys: b.keys, Policy: Policy{Window: -1}},
		"soft":             {Store: b.store, Keys: b.keys, Policy: Policy{Soft: -1}},
		"too many strikes": {Store: b.store, Keys: b.keys, Policy: Policy{Strikes: maxStrikes + 1}},
	} {
		if _, err := NewSuppression(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	s, err := NewSuppression(SuppressionConfig{Store: b.store, Keys: b.keys})
	if err != nil || s.cfg.Policy != defaultPolicy() || s.cfg.Now == nil {
		t.Errorf("defaults: %+v, %v", s, err)
	}
	own := Policy{Bounce: 1, Complaint: 2, Strikes: maxStrikes, Window: 3, Soft: 4}
	if s, err := NewSuppression(SuppressionConfig{Store: b.store, Keys: b.keys, Policy: own}); err != nil || s.cfg.Policy != own {
		t.Errorf("a policy of one's own: %+v, %v", s, err)
	}
}
