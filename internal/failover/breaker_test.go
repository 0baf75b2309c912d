// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newBreaker(threshold int, base, most time.Duration) *breaker {
	return &breaker{state: Closed, threshold: threshold, base: base, cap: most, random: rand.Reader}
}

// pass asks for a permit that must be given, and reports.
func pass(t *testing.T, b *breaker, v Verdict, now time.Time) bool {
	t.Helper()
	p, _, ok := b.admit(now)
	if !ok {
		t.Fatalf("got no permit while %s", b.state)
	}
	return b.done(p, v, now)
}

func TestOpensAfterFailuresInARow(t *testing.T) {
	b, now := newBreaker(3, time.Second, time.Minute), time.Unix(0, 0)
	for _, v := range []Verdict{Broken, Broken, Healthy, Broken, Unknown, Broken} {
		if pass(t, b, v, now) {
			t.Fatalf("it opened too early")
		}
	}
	if !pass(t, b, Broken, now) || b.state != Open {
		t.Fatalf("got %s after three failures in a row, want open", b.state)
	}
	_, retry, ok := b.admit(now)
	if ok || retry.Before(now.Add(time.Second/2)) || retry.After(now.Add(time.Second)) {
		t.Errorf("got a permit %t, or again at %s, want none for half a second to a second", ok, retry)
	}
}

func TestBreakerProbesWithOneMessage(t *testing.T) {
	for _, v := range []Verdict{Healthy, Broken, Unknown} {
		b, now := newBreaker(1, time.Second, time.Minute), time.Unix(0, 0)
		pass(t, b, Broken, now)
		now = now.Add(time.Second)
		p, _, ok := b.admit(now)
		if !ok || !p.probe || b.state != HalfOpen {
			t.Fatalf("got permit %t, probe %t, %s", ok, p.probe, b.state)
		}
		if _, retry, ok := b.admit(now); ok || !retry.After(now) {
			t.Error("a second message was let through beside the probe")
		}
		b.done(p, v, now)
		_, _, ok = b.admit(now)
		if want := v != Broken; ok != want {
			t.Errorf("verdict %d: got permit %t, want %t", v, ok, want)
		}
		if want := v == Healthy; (b.state == Closed) != want {
			t.Errorf("verdict %d: got %s", v, b.state)
		}
	}
}

// The delay doubles with each failed probe, up to a limit, and starts again
// when the peer has worked.
func TestBreakerIsMorePatientEachTime(t *testing.T) {
	b, now := newBreaker(1, time.Second, 10*time.Second), time.Unix(0, 0)
	b.random = bytes.NewReader(bytes.Repeat([]byte{0xff}, 8*7)) // the most of it
	for _, seconds := range []int{1, 2, 4, 8, 10, 10} {
		pass(t, b, Broken, now)
		if got := b.until.Sub(now); int(got/time.Millisecond) != 1000*seconds {
			t.Errorf("got %s, want %ds", got, seconds)
		}
		now = b.until
	}
	pass(t, b, Healthy, now)
	pass(t, b, Broken, now)
	if got := b.until.Sub(now); got != time.Second {
		t.Errorf("got %s after it had worked, want 1s", got)
	}
	now = b.until
	if pass(t, b, Broken, now); b.until.Sub(now) != 2*time.Second {
		t.Errorf("got %s without randomness, want all of it", b.until.Sub(now))
	}
	b.random = bytes.NewReader(make([]byte, 8)) // the least of it
	if got := b.delay(); got != 2*time.Second {
		t.Errorf("got %s, want half of four seconds", got)
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
	pass(t, b, Broken, now)
	if b.done(late, Healthy, now); b.state != Open {
		t.Errorf("a late success left it %s, want open", b.state)
	}
	p, _, _ := b.admit(now.Add(time.Second))
	if b.done(late, Broken, now); b.state != HalfOpen {
		t.Errorf("a late failure left it %s, want half-open", b.state)
	}
	b.done(p, Healthy, now)
	if b.done(p, Broken, now); b.state != Closed {
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
	if want := before == Closed || before == Open && !h.now.Before(until); ok != want {
		t.Fatalf("%s until %s: got permit %t at %s", before, until, ok, h.now)
	}
	if !ok {
		if retry.Before(h.now) || retry.After(h.now.Add(max(h.cap, h.base))) {
			t.Fatalf("asked to come again at %s, it is %s", retry, h.now)
		}
		return
	}
	h.under = append(h.under, p)
	if p.probe != (before == Open) {
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
	v := Verdict(rapid.IntRange(0, 2).Draw(t, "verdict"))
	before, round, current := h.state, h.round, one.round == h.round
	changed := h.done(one, v, h.now)
	if changed != (h.state != before) || changed != (h.round != round) || changed && !current {
		t.Fatalf("from %s to %s: got changed %t, out of date %t", before, h.state, changed, !current)
	}
	if current && before == Closed {
		switch v {
		case Broken:
			h.row++
		case Healthy:
			h.row = 0
		case Unknown:
		}
		if (h.state == Open) != (h.row == h.threshold) {
			t.Fatalf("%s after %d failures in a row, the threshold is %d", h.state, h.row, h.threshold)
		}
	}
	if !changed {
		return
	}
	h.row = 0
	if d := h.until.Sub(h.now); h.state == Open && (d > h.cap || v == Broken && d < h.base/2 || v == Unknown && d != 0) {
		t.Fatalf("verdict %d: opened for %s, want %s to %s, and none if it is not known", v, d, h.base/2, h.cap)
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
			state: Closed, base: base, cap: base * time.Duration(rapid.IntRange(1, 100).Draw(t, "times")),
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
			if want := map[string]int{HalfOpen: 1}[h.state]; probes != want {
				t.Fatalf("%s with %d probes under way, want %d", h.state, probes, want)
			}
		}
	})
}

func TestConfigIsCompletedOrRefused(t *testing.T) {
	got, err := Config{}.WithDefaults()
	if err != nil || got.Threshold != DefaultThreshold || got.Delay != DefaultDelay || got.MaxDelay != DefaultMaxDelay || got.Random == nil {
		t.Errorf("got %+v, %v, want the defaults", got, err)
	}
	// A first delay beyond the default of the longest one is the longest, too.
	if got, err := (Config{Delay: time.Hour}).WithDefaults(); err != nil || got.MaxDelay != time.Hour {
		t.Errorf("got %s, %v, want one hour", got.MaxDelay, err)
	}
	for _, tt := range []struct {
		bad  Config
		want string
	}{
		{Config{Threshold: -1}, "must be positive"},
		{Config{Delay: -1}, "must be positive"},
		{Config{MaxDelay: -1}, "must be positive"},
		{Config{Delay: 2, MaxDelay: 1}, "shorter than the first"},
	} {
		if _, err := tt.bad.WithDefaults(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.bad, err, tt.want)
		}
	}
	if state, _ := closedBreaker(got).snapshot(); state != Closed {
		t.Errorf("got a new one that is %s", state)
	}
}

// What is set stays as it is, and a breaker is as patient as that says.
func TestBreakerIsAsItIsConfigured(t *testing.T) {
	random := bytes.NewReader(nil) // without randomness, delays are the longest
	c := Config{Threshold: 2, Delay: 1, MaxDelay: 3, Random: random}
	got, err := c.WithDefaults()
	if err != nil || got.Now == nil {
		t.Errorf("got %v, and a clock: %t", err, got.Now != nil)
	}
	if got.Now = nil; !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, want %+v", got, c)
	}
	b, now := closedBreaker(c), time.Unix(0, 0)
	if pass(t, b, Broken, now) {
		t.Error("it opened after one failure of two")
	}
	for _, want := range []time.Duration{1, 3, 3} {
		if !pass(t, b, Broken, now) {
			t.Error("it did not open")
		}
		if state, until := b.snapshot(); state != Open || until.Sub(now) != want {
			t.Errorf("got %s for %s, want open for %s", state, until.Sub(now), want)
		}
		_, now = b.snapshot()
	}
}
