// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// event is a message as the model remembers it: by what has truly passed, which
// no clock can set back.
type event struct {
	at     time.Duration
	r      Request
	cost   Money
	charge bool // counted by Charge
	res    *Reservation
}

// machine drives two shields over one store and remembers all messages.
type machine struct {
	*fixture
	t       *rapid.T
	shields []*Shield
	events  []event
	passed  time.Duration
	// exact says that the clock is never set back: limits without buckets are
	// then not only kept but used up.
	exact bool
}

var modelBudgets = []Budget{
	{Scope: "total", Limit: 9, Per: Hour},
	{Scope: "total", Limit: 25, Per: Day},
	{Scope: "total", Unit: Amount, Limit: 100, Per: Day},
	{Scope: "country", Limit: 6, Per: Hour},
	{Scope: "country", Unit: Amount, Limit: 40, Per: Hour},
	{Scope: "prefix", Limit: 4, Per: Hour},
	{Scope: "prefix", Limit: 11, Per: Day},
	{Scope: "FR", Limit: 5, Per: Hour},
	{Scope: "+447", Limit: 12, Per: Day},
}

func newMachine(t *rapid.T, exact bool) *machine {
	f := newFixture(t, func(c *Config) {
		c.Budgets = modelBudgets
		c.Prices = map[string]Money{"GB": 2, "default": 3}
		c.PerNumber, c.NumbersPerClient, c.CountriesPerClient = 4, 3, 2
		c.NetworkPart = 40
		c.Backoff = []time.Duration{0, time.Minute, time.Hour}
	})
	return &machine{fixture: f, t: t, exact: exact, shields: []*Shield{f.Shield, f.another()}}
}

func (m *machine) wait(d time.Duration) {
	m.passed += d
	m.clock.Advance(d)
}

func pick[T any](t *rapid.T, what string, from ...T) T { return rapid.SampledFrom(from).Draw(t, what) }

func drawRequest(t *rapid.T) Request {
	r := pick(t, "country",
		to("44791100000", "GB"), to("44740000000", "GB"), to("33612345600", "FR"), to("33700000000", "FR"), to("491511234500", "DE"))
	r.Digits += pick(t, "last digit", "1", "2", "3")
	r.Segments = rapid.IntRange(1, 3).Draw(t, "segments")
	r.Class = pick(t, "class", ratelimit.Newcomer, ratelimit.Begun, ratelimit.Owner)
	if addr := pick(t, "client", "", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:ff::1"); addr != "" {
		from(addr)(&r)
	}
	return r
}

// within are the messages of a window that ends now; what happened right at its
// beginning is outside.
func (m *machine) within(d time.Duration, counts func(event) bool) (list []event) {
	for _, e := range m.events {
		if e.at > m.passed-d && counts(e) {
			list = append(list, e)
		}
	}
	return list
}

// share is so much of a budget, in percent, and such messages at the least.
func share(b Budget, percent, least int64, cost Money) int64 {
	one := map[Unit]int64{Messages: 1, Amount: int64(cost)}[b.Unit]
	return min(b.Limit, max(b.Limit*percent/100, least*one))
}

// overspent names a budget that one more message would exceed, or the part of it that is
// for such messages, in windows that are longer than they should be by slack buckets.
func (m *machine) overspent(r Request, cost Money, slack int) string {
	of := map[ratelimit.Class]int64{ratelimit.Owner: 100, ratelimit.Begun: 75, ratelimit.Newcomer: 50}[r.Class]
	for _, b := range modelBudgets {
		limit := b.Limit
		switch {
		case b.Scope == "total":
			limit = share(b, of, 1, cost)
		case r.Class == ratelimit.Owner:
			continue
		}
		window := map[Window]time.Duration{Hour: time.Hour, Day: day}[b.Per]
		bucket := map[Window]time.Duration{Hour: 5 * time.Minute, Day: time.Hour}[b.Per]
		inScope := func(r2 Request) bool {
			switch b.Scope {
			case "total":
				return true
			case "country":
				return r2.Region == r.Region
			case "prefix":
				return r2.Digits[:7] == r.Digits[:7]
			case "FR":
				return r2.Region == "FR"
			default:
				return "+"+r2.Digits[:len(b.Scope)-1] == b.Scope
			}
		}
		used := func(counts func(Request) bool) int64 {
			sum := map[Unit]int64{Messages: 1, Amount: int64(cost)}
			for _, e := range m.within(window+time.Duration(slack)*bucket, func(e event) bool { return counts(e.r) }) {
				sum[Messages]++
				sum[Amount] += int64(e.cost)
			}
			return sum[b.Unit]
		}
		if inScope(r) && used(inScope) > limit {
			return fmt.Sprint(b)
		}
		network := ratelimit.Wide(r.Client)
		ofNetwork := func(other Request) bool { return ratelimit.Wide(other.Client) == network }
		if b.Scope == "total" && network != "" && used(ofNetwork) > share(b, 40, 3, cost) {
			return fmt.Sprint("the network's part of ", b)
		}
	}
	return ""
}

// personal returns why a message must be refused for the sake of the number or
// the client; the first reason only.
func (m *machine) personal(r Request) Why {
	sent := m.within(day, func(e event) bool { return !e.charge && e.r.Digits == r.Digits })
	numbers, countries := map[string]bool{r.Digits: true}, map[string]bool{r.Region: true}
	for _, e := range m.within(day, func(e event) bool { return r.Client.IsValid() && m.counts(e, r.Client) }) {
		numbers[e.r.Digits], countries[e.r.Region] = true, true
	}
	old := len(numbers) > 1 && m.reached(r, func(e event) bool { return e.r.Digits == r.Digits })
	oldCountry := len(countries) > 1 && m.reached(r, func(e event) bool { return e.r.Region == r.Region })
	switch {
	case len(sent) >= 4:
		return WhyNumber
	case r.Class != ratelimit.Owner && len(numbers) > 3 && !old:
		return WhyClientNumbers
	case r.Class != ratelimit.Owner && len(countries) > 2 && !oldCountry:
		return WhyClientCountries
	case len(sent) > 0 && m.passed < sent[len(sent)-1].at+[]time.Duration{0, time.Minute, time.Hour}[min(len(sent), 3)-1]:
		return WhyBackoff
	}
	return ""
}

func (m *machine) reached(r Request, same func(event) bool) bool {
	return len(m.within(day, func(e event) bool { return m.counts(e, r.Client) && same(e) })) > 0
}

// counts reports whether a message counts for a client: it is no owner's.
func (m *machine) counts(e event, client netip.Addr) bool {
	return !e.charge && e.r.Class != ratelimit.Owner && e.r.Client == client
}

func costOf(r Request) Money {
	if r.Region == "GB" {
		return 2 * Money(r.Segments)
	}
	return 3 * Money(r.Segments)
}

// allowed checks that a message could be allowed, and remembers it.
func (m *machine) allowed(e event) {
	if b := m.overspent(e.r, e.cost, 0); b != "" {
		m.t.Fatalf("a message was allowed that exceeds the budget %s", b)
	}
	if why := m.personal(e.r); why != "" && !e.charge {
		m.t.Fatalf("a message was allowed in spite of %s", why)
	}
	e.at = m.passed
	m.events = append(m.events, e)
}

// hadTo checks that a message had to be refused.
func (m *machine) hadTo(r Request, err error) *RefusedError {
	var refusal *RefusedError
	if !errors.As(err, &refusal) {
		m.t.Fatalf("got %v, want a refusal or none", err)
	}
	if refusal.RetryAfter <= 0 {
		m.t.Fatalf("%v does not say for how long", err)
	}
	if !m.exact {
		return refusal
	}
	if refusal.Why == WhyBudget || refusal.Why == WhyNetwork {
		if m.overspent(r, costOf(r), 1) == "" {
			m.t.Fatalf("%v, but every budget has room", err)
		}
	} else if want := m.personal(r); refusal.Why != want {
		m.t.Fatalf("%v, want %q", err, want)
	}
	return refusal
}

func (m *machine) shield() *Shield { return m.shields[rapid.IntRange(0, 1).Draw(m.t, "shield")] }

func (m *machine) doReserve(t *rapid.T) {
	m.t = t
	r := drawRequest(t)
	res, err := m.shield().Reserve(bg, r)
	if err == nil {
		m.allowed(event{r: r, cost: costOf(r), res: res})
		return
	}
	refusal := m.hadTo(r, err)
	if !rapid.Bool().Draw(t, "wait for it") {
		return
	}
	m.wait(refusal.RetryAfter - 1)
	if _, err := m.shield().Reserve(bg, r); err == nil {
		t.Fatalf("%v, but it was allowed earlier", refusal)
	}
	m.wait(1)
	res, err = m.shield().Reserve(bg, r)
	if err != nil {
		t.Fatalf("%v, but then: %v", refusal, err)
	}
	m.allowed(event{r: r, cost: costOf(r), res: res})
}

func (m *machine) doCharge(t *rapid.T) {
	m.t = t
	r := drawRequest(t)
	if !m.mayCharge(&r) {
		t.Skip("which message it is for is not clear")
	}
	if err := m.shield().Charge(bg, r); err != nil {
		if got := m.hadTo(r, err); got.Why != WhyBudget && got.Why != WhyNetwork {
			t.Fatalf("Charge = %v", err)
		}
		return
	}
	m.allowed(event{r: r, cost: costOf(r), charge: true})
}

// mayCharge finds out for whom the newest message to a number is. Once the clock was set
// back, that is clear only of a single one.
func (m *machine) mayCharge(r *Request) bool {
	to := func(e event) bool { return !e.charge && e.r.Digits == r.Digits }
	sent := m.within(day, to)
	if !m.exact && (len(sent) != 1 || len(m.within(m.passed+1, to)) != 1) {
		return false
	}
	r.Class, r.Client = ratelimit.Newcomer, netip.Addr{} // of one that nobody knows
	if len(sent) > 0 {
		last := sent[len(sent)-1].r
		r.Class, r.Client = last.Class, last.Client
	}
	return true
}

func (m *machine) doRelease(t *rapid.T) {
	m.t = t
	if len(m.events) == 0 {
		t.Skip("nothing was sent yet")
	}
	i := rapid.IntRange(0, len(m.events)-1).Draw(t, "which")
	e := m.events[i]
	if e.charge || e.at <= m.passed-day {
		t.Skip("it cannot be given back")
	}
	for range 2 { // once only
		if err := m.shield().Release(bg, e.res); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	m.events = append(m.events[:i:i], m.events[i+1:]...)
}

func (m *machine) doWait(t *rapid.T) {
	m.wait(pick(t, "time", 1, time.Second, 59*time.Second, 4*time.Minute, 5*time.Minute, time.Hour-1, time.Hour, 7*time.Hour, day))
}

func (m *machine) doJump(t *rapid.T) {
	if m.clock.Now().Year() < 1900 {
		t.Skip("no clock shows that")
	}
	m.clock.Advance(-pick(t, "back by", 1, time.Second, skew, skew+1, 17*time.Minute, 3*time.Hour, 400*day, 60*365*day))
}

// TestBudgetsHoldInEveryHistory: no window of any budget ever holds more than
// its limit, nothing is refused that has room, and RetryAfter is right to the
// nanosecond.
func TestBudgetsHoldInEveryHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, true)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": m.doReserve, "again": m.doReserve, "charge": m.doCharge, "release": m.doRelease, "wait": m.doWait,
		})
	})
}

// TestClockSetBack: whatever a clock that is set back shows, no more is sent in
// any time that truly passes, and what is refused is allowed in the end.
func TestClockSetBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, false)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": m.doReserve, "again": m.doReserve, "charge": m.doCharge, "wait": m.doWait, "jump": m.doJump,
		})
	})
}
