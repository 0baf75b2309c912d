// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// answeredAfter runs a request that takes some time by itself.
func answeredAfter(p *equalizer, work time.Duration, granted bool) time.Duration {
	start := time.Now()
	b := p.start()
	time.Sleep(work)
	b.wait(context.Background(), granted)
	return time.Since(start)
}

// TestPaceIsTheSameForAll that end within a step, whatever the homeserver said;
// who takes longer waits for the end of another.
func TestPaceIsTheSameForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newEqualizer(leastStep)
		for _, work := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 199 * time.Millisecond} {
			for _, granted := range []bool{true, false} {
				if got := answeredAfter(p, work, granted); got != leastStep {
					t.Errorf("work of %s, granted %v: answered after %s, want %s", work, granted, got, leastStep)
				}
			}
		}
		if got := answeredAfter(p, leastStep+time.Millisecond, true); got != 2*leastStep {
			t.Errorf("got an answer after %s, want two steps", got)
		}
	})
}

// TestPaceFollowsTheSlowest, at once upwards, and back an hour later; what is
// usual for the homeserver stays. There are only few steps, and a last one.
func TestPaceFollowsTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newEqualizer(leastStep)
		tests := []struct {
			pause, work time.Duration
			granted     bool
			want        time.Duration
		}{
			{0, 100 * time.Millisecond, true, 400 * time.Millisecond},
			{0, 300 * time.Millisecond, false, 400 * time.Millisecond},
			{0, 100 * time.Millisecond, true, 800 * time.Millisecond},
			{50 * time.Minute, 100 * time.Millisecond, false, 800 * time.Millisecond},
			{20 * time.Minute, 100 * time.Millisecond, false, 400 * time.Millisecond},
			{0, 20 * time.Second, false, 50 * 400 * time.Millisecond}, // 20 s is the end of a step
			{0, time.Millisecond, true, mostStep},
			{0, 7 * time.Second, true, 3 * mostStep},
			{2 * time.Hour, time.Millisecond, false, 1600 * time.Millisecond},
		}
		for i, tt := range tests {
			time.Sleep(tt.pause)
			if tt.work%tt.want == 0 {
				tt.work -= time.Millisecond
			}
			if got := answeredAfter(p, tt.work, tt.granted); got != tt.want {
				t.Errorf("%d: answered after %s, want %s", i, got, tt.want)
			}
		}
	})
}

// TestPaceDoesNotHoldThoseWhoLeave, nor those who have nothing to hide.
func TestPaceDoesNotHoldThoseWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		b := newEqualizer(leastStep).start()
		cancel()
		b.wait(ctx, true)
		var none *equalizer
		none.start().wait(t.Context(), true)
		if got := time.Since(start); got != 0 {
			t.Errorf("held for %s", got)
		}
	})
}

// TestPaceOnlyWhereThereIsSomethingToHide: it costs nothing with checks off, and
// where the operator lets it be told.
func TestPaceOnlyWhereThereIsSomethingToHide(t *testing.T) {
	for name, tt := range map[string]struct {
		opts options
		want bool
	}{"off": {options{}, false}, "callback": {callback, true}, "revealing": {revealing, false}} {
		r := newRig(t, tt.opts)
		c := NewClient(r.client.cfg, r.svc, r.ids, r.events)
		if got := c.equalizer != nil; got != tt.want {
			t.Errorf("%s: paced %v, want %v", name, got, tt.want)
		}
	}
}

// TestPaceStepsHaveRoomForTwice what was slowest, to the nanosecond, and for what is usual,
// of which a single answer is one part in sixteen.
func TestPaceStepsHaveRoomForTwice(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for slow, want := range map[time.Duration]int{
		0: 400, 200 * time.Millisecond: 400, 200*time.Millisecond + 1: 800, 800 * time.Millisecond: 1600, 1600 * time.Millisecond: 3200, time.Hour: 3200,
	} {
		p := newEqualizer(leastStep)
		if p.took(now, slow, false); p.step(now) != time.Duration(want)*time.Millisecond {
			t.Errorf("after an answer of %s: got a step of %s, want %d ms", slow, p.step(now), want)
		}
	}
	p := newEqualizer(leastStep)
	for i, c := range []struct {
		took    time.Duration
		granted bool
		usual   time.Duration
	}{{100, false, 0}, {160, true, 160}, {320, true, 170}, {10, true, 160}, {1000, false, 160}} {
		if p.took(now, c.took, c.granted); p.usual != c.usual {
			t.Errorf("%d: got %d as usual, want %d", i, p.usual, c.usual)
		}
	}
}

// TestPaceForgetsByParts: each is remembered for as long as six of them last, and whatever
// was before a pause is gone.
func TestPaceForgetsByParts(t *testing.T) {
	start := time.Unix(0, 0).Add(1000 * stepWindow)
	const part = stepWindow / stepParts
	for after, want := range map[time.Duration]int{
		part: 3, 5 * part: 3, 6*part - 1: 3, 6 * part: 2, 7*part - 1: 2, 7 * part: 0, 100 * part: 0,
	} {
		p := newEqualizer(leastStep)
		p.took(start, 3*time.Second, false)
		p.took(start, 1*time.Second, false)
		p.took(start.Add(part), 2*time.Second, false)
		p.turn(start.Add(after))
		if got := slices.Max(p.slowest[:]); got != time.Duration(want)*time.Second {
			t.Errorf("after %s the slowest is %s, want %d s", after, got, want)
		}
	}
}
