// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var testPolicy = Policy{Bounce: 30 * day, Complaint: 60 * day, Strikes: 3, Window: 5 * day, Soft: 4 * day}

// drawReports makes reports about one address over forty days, in any order,
// some of them twice.
func drawReports(t *rapid.T) []Report {
	hours := rapid.IntRange(0, 40*24)
	n := rapid.IntRange(0, 14).Draw(t, "n")
	reports := make([]Report, 0, n)
	for i := range n {
		reports = append(reports, Report{
			Kind:      rapid.SampledFrom([]Kind{Bounce, Bounce, Bounce, Complaint, Delivered, Deferred}).Draw(t, "kind"),
			Permanent: rapid.Bool().Draw(t, "permanent"),
			Code:      rapid.SampledFrom([]string{"", "4.2.2", "5.1.1", "5.7.1", "5.2.2"}).Draw(t, "code"),
			At:        start.Add(time.Duration(hours.Draw(t, "hour")) * time.Hour),
			ID:        fmt.Sprint(i),
		})
	}
	return reports
}

// expected is the policy in its plainest form, over a whole history.
func expected(reports []Report, p Policy, now time.Time) (Reason, time.Time) {
	var reason Reason
	var until time.Time
	raise := func(r Reason, end time.Time) {
		if !end.After(now) {
			return
		}
		if end.After(until) || end.Equal(until) && slices.Index(reasons, r) > slices.Index(reasons, reason) {
			reason, until = r, end
		}
	}
	var strikes []time.Time
	for _, r := range reports {
		switch {
		case r.Kind == Complaint:
			raise(ReasonComplaint, r.At.Add(p.Complaint))
		case r.Hard():
			raise(ReasonBounce, r.At.Add(p.Bounce))
		case r.Kind == Bounce:
			strikes = append(strikes, r.At)
		}
	}
	for _, last := range strikes {
		within := 0
		for _, other := range strikes {
			if !other.After(last) && !other.Before(last.Add(-p.Window)) {
				within++
			}
		}
		if within >= p.Strikes {
			raise(ReasonSoft, last.Add(p.Soft))
		}
	}
	return reason, until
}

func TestPropertyPolicyIsThatOfTheModelInAnyOrderAndNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, testPolicy)
		b.clock.Advance(40 * day)
		reports := drawReports(t)
		told := slices.Concat(reports, reports[:rapid.IntRange(0, len(reports)).Draw(t, "repeated")])
		for _, r := range rapid.Permutation(told).Draw(t, "order") {
			b.record(t, alice, r)
		}
		for range 80 { // to the end of the last of them
			now := b.clock.Now()
			wantReason, wantUntil := expected(reports, testPolicy, now)
			e, ok, err := b.Lookup(context.Background(), verification.Email, alice)
			if err != nil || ok != (wantReason != "") || e.Reason != wantReason || ok && !e.Until.Equal(wantUntil) {
				t.Fatalf("at %v: %+v, %t, %v, want %q until %v", now, e, ok, err, wantReason, wantUntil)
			}
			b.clock.Advance(day)
		}
	})
}

func TestPropertyTimeOfTellingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, testPolicy)
		reports := drawReports(t)
		slices.SortStableFunc(reports, func(a, b Report) int { return a.At.Compare(b.At) })
		for i, r := range reports {
			b.clock.Advance(r.At.Sub(b.clock.Now()))
			b.record(t, alice, r)
			want, _ := expected(reports[:i+1], testPolicy, b.clock.Now())
			if got := b.reason(t, alice); got != want {
				t.Fatalf("after %d reports: %q, want %q", i+1, got, want)
			}
		}
	})
}

func TestPropertyNothingSuppressesLongerThanThePolicyFromNow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, testPolicy)
		for _, r := range drawReports(t) { // most of them lie in the future
			b.record(t, alice, r)
		}
		e, ok, err := b.Lookup(context.Background(), verification.Email, alice)
		if err != nil || ok && e.Until.After(start.Add(testPolicy.Complaint)) {
			t.Fatalf("%+v, %v", e, err)
		}
	})
}

func TestManyStrikesStayWithinARecord(t *testing.T) {
	b := newBench(t, testPolicy)
	for n := range 10 * maxStrikes {
		b.record(t, alice, softBounce(start, fmt.Sprint(n)))
		b.clock.Advance(time.Second)
	}
	for _, value := range b.everything(t) {
		if len(value) > 64*maxStrikes {
			t.Errorf("a record of %d bytes", len(value))
		}
	}
	if got := b.reason(t, alice); got != ReasonSoft {
		t.Errorf("reason = %q", got)
	}
}
