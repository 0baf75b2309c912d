// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newBreaker(threshold int, base, most time.Duration) *breaker {
	return &breaker{state: BreakerClosed, threshold: threshold, base: base, cap: most, random: rand.Reader}
}

// pass asks for a permit that must be given, and reports.
func pass(t *testing.T, b *breaker, v verdict, now time.Time) bool {
	t.Helper()
	p, _, ok := b.admit(now)
	if !ok {
		t.Fatalf("got no permit while %s", b.state)
	}
	return b.done(p, v, now)
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	b, now := newBreaker(3, time.Second, time.Minute), time.Unix(0, 0)
	for _, v := range []verdict{broken, broken, healthy, broken, unknown, broken} {
		if pass(t, b, v, now) {
			t.Fatalf("it opened too early")
		}
	}
	if !pass(t, b, broken, now) || b.state != BreakerOpen {
		t.Fatalf("got %s after three failures in a row, want open", b.state)
	}
	_, retry, ok := b.admit(now)
	if ok || retry.Before(now.Add(time.Second/2)) || retry.After(now.Add(time.Second)) {
		t.Errorf("got a permit %t, or again at %s, want none for half a second to a second", ok, retry)
	}
}

func TestBreakerProbesWithOneMessage(t *testing.T) {
	for _, v := range []verdict{healthy, broken, unknown} {
		b, now := newBreaker(1, time.Second, time.Minute), time.Unix(0, 0)
		pass(t, b, broken, now)
		now = now.Add(time.Second)
		p, _, ok := b.admit(now)
		if !ok || !p.probe || b.state != BreakerHalfOpen {
			t.Fatalf("got permit %t, probe %t, %s", ok, p.probe, b.state)
		}
		if _, retry, ok := b.admit(now); ok || !retry.After(now) {
			t.Error("a second message was let through beside the probe")
		}
		b.done(p, v, now)
		_, _, ok = b.admit(now)
		if want := v != broken; ok != want {
			t.Errorf("verdict %d: got permit %t, want %t", v, ok, want)
		}
		if want := v == healthy; (b.state == BreakerClosed) != want {
			t.Errorf("verdict %d: got %s", v, b.state)
		}
	}
}

// The delay doubles with each failed probe, up to a limit, and starts again
// when the relay has worked.
func TestBreakerIsMorePatientEachTime(t *testing.T) {
	b, now := newBreaker(1, time.Second, 10*time.Second), time.Unix(0, 0)
	b.random = bytes.NewReader(bytes.Repeat([]byte{0xff}, 8*7)) // the most of it
	for _, seconds := range []int{1, 2, 4, 8, 10, 10} {
		pass(t, b, broken, now)
		if got := b.until.Sub(now); int(got/time.Millisecond) != 1000*seconds {
			t.Errorf("got %s, want %ds", got, seconds)
		}
		now = b.until
	}
	pass(t, b, healthy, now)
	pass(t, b, broken, now)
	if got := b.until.Sub(now); got != time.Second {
		t.Errorf("got %s after it had worked, want 1s", got)
	}
	now = b.until
	if pass(t, b, broken, now); b.until.Sub(now) != 2*time.Second {
		t.Errorf("got %s without randomness, want all of it", b.until.Sub(now))
	}
	b.trips = 1000 // no overflow
	if got := b.delay(); got != 10*time.Second {
		t.Errorf("got %s, want the limit", got)
	}
}

// What comes late says nothing about now.
func TestBreakerIgnoresWhatIsOutOfDate(t *testing.T) {
	b, now := newBreaker(1, time.Second, time.Minute), time.Unix(0, 0)
	late, _, _ := b.admit(now)
	pass(t, b, broken, now)
	if b.done(late, healthy, now); b.state != BreakerOpen {
		t.Errorf("a late success left it %s, want open", b.state)
	}
	p, _, _ := b.admit(now.Add(time.Second))
	if b.done(late, broken, now); b.state != BreakerHalfOpen {
		t.Errorf("a late failure left it %s, want half-open", b.state)
	}
	b.done(p, healthy, now)
	if b.done(p, broken, now); b.state != BreakerClosed {
		t.Errorf("a second report left it %s, want closed", b.state)
	}
}

type noise struct{ t *rapid.T }

func (n noise) Read(p []byte) (int, error) {
	if rapid.Bool().Draw(n.t, "no randomness") {
		return 0, errors.New("none")
	}
	return copy(p, rapid.SliceOfN(rapid.Byte(), len(p), len(p)).Draw(n.t, "random")), nil
}

// history is a breaker, and what has happened to it.
type history struct {
	*breaker
	now   time.Time
	under []permit // messages on their way
	row   int      // failures in a row while closed, of this round
}

// admitted asks for a permit, and looks whether it had to be given.
func (h *history) admitted(t *rapid.T) {
	before, until := h.state, h.until
	p, retry, ok := h.admit(h.now)
	if want := before == BreakerClosed || before == BreakerOpen && !h.now.Before(until); ok != want {
		t.Fatalf("%s until %s: got permit %t at %s", before, until, ok, h.now)
	}
	if !ok {
		if retry.Before(h.now) || retry.After(h.now.Add(max(h.cap, h.base))) {
			t.Fatalf("asked to come again at %s, it is %s", retry, h.now)
		}
		return
	}
	h.under = append(h.under, p)
	if p.probe != (before == BreakerOpen) {
		t.Fatalf("%s: got probe %t", before, p.probe)
	}
}

// reported ends one of the messages, and looks what that may change.
func (h *history) reported(t *rapid.T) {
	if len(h.under) == 0 {
		return
	}
	i := rapid.IntRange(0, len(h.under)-1).Draw(t, "which")
	one := h.under[i]
	h.under = append(h.under[:i:i], h.under[i+1:]...)
	v := verdict(rapid.IntRange(0, 2).Draw(t, "verdict"))
	before, current := h.state, one.round == h.round
	changed := h.done(one, v, h.now)
	if changed != (h.state != before) || changed && !current {
		t.Fatalf("from %s to %s: got changed %t, out of date %t", before, h.state, changed, !current)
	}
	if current && before == BreakerClosed {
		switch v {
		case broken:
			h.row++
		case healthy:
			h.row = 0
		case unknown:
		}
		if (h.state == BreakerOpen) != (h.row == h.threshold) {
			t.Fatalf("%s after %d failures in a row, the threshold is %d", h.state, h.row, h.threshold)
		}
	}
	if !changed {
		return
	}
	h.row = 0
	if d := h.until.Sub(h.now); h.state == BreakerOpen && (d > h.cap || v == broken && d < h.base/2) {
		t.Fatalf("opened for %s, want %s to %s", d, h.base/2, h.cap)
	}
}

// Whatever happens in whatever order: a closed breaker lets everything through
// and has fewer failures in a row than its threshold; an open one lets nothing
// through before its time, which is never further away than the longest delay;
// a half-open one has exactly one message under way that counts; and each
// change of state was caused by a report of this round.
func TestBreakerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.IntRange(1, 1000).Draw(t, "base")) * time.Millisecond
		h := &history{now: time.Unix(1000, 0), breaker: &breaker{
			state: BreakerClosed, base: base, cap: base * time.Duration(rapid.IntRange(1, 100).Draw(t, "times")),
			threshold: rapid.IntRange(1, 5).Draw(t, "threshold"), random: io.Reader(noise{t}),
		}}
		for range rapid.IntRange(1, 120).Draw(t, "events") {
			switch rapid.IntRange(0, 2).Draw(t, "event") {
			case 0:
				h.now = h.now.Add(time.Duration(rapid.Int64Range(0, int64(2*base)).Draw(t, "pass")))
			case 1:
				h.admitted(t)
			case 2:
				h.reported(t)
			}
			probes := 0
			for _, one := range h.under {
				if one.probe && one.round == h.round {
					probes++
				}
			}
			if want := map[string]int{BreakerHalfOpen: 1}[h.state]; probes != want {
				t.Fatalf("%s with %d probes under way, want %d", h.state, probes, want)
			}
		}
	})
}
