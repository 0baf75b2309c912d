// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
)

// TestAClaimThatFinishesLateChangesNothing: a request took longer than its claim
// lasts, and another has the session, or has had it. However the first one ends, the
// second fares as if it had never been.
func TestAClaimThatFinishesLateChangesNothing(t *testing.T) {
	seconds := map[string]struct {
		goOn func(f *fixture, second *Alias)
		left State
	}{
		"is in flight":     {func(*fixture, *Alias) {}, Consumed},
		"has been asked":   {func(f *fixture, second *Alias) { f.proves(second) }, Consumed},
		"was refused":      {func(f *fixture, second *Alias) { f.finish(second, Refused) }, Validated},
		"was completed":    {func(f *fixture, second *Alias) { f.finish(second, Completed) }, Consumed},
		"was refused late": {func(f *fixture, second *Alias) { f.proves(second); f.finish(second, Refused) }, Validated},
	}
	for name, tt := range seconds {
		for _, outcome := range []Outcome{Refused, Completed, Unknown, Kept} {
			t.Run(fmt.Sprintf("the second %s, the first ends as %d", name, outcome), func(t *testing.T) {
				f := newFixture(t)
				c := completes(f.validated(ask()))
				first := f.claim(c)
				f.clock.Advance(f.cfg.InFlight)
				c.UIASession = "another"
				second := f.claim(c)
				tt.goOn(f, second)
				before, entries, told := f.record(c.SID), len(dump(t, f.cfg.Store)), maps.Clone(f.watcher.seen)
				if !first.Live || !second.Live || f.proves(first) {
					t.Fatalf("live %v and %v, and the first proves something: want both live, and one proof", first.Live, second.Live)
				}
				f.finish(first, outcome)
				if after := f.record(c.SID); !reflect.DeepEqual(before, after) || len(dump(t, f.cfg.Store)) != entries {
					t.Errorf("the session was %+v, is %+v", before, after)
				}
				if first.Unasked || !maps.Equal(told, f.watcher.seen) {
					t.Errorf("unasked %v, transitions %v, want none but %v", first.Unasked, f.watcher.seen, told)
				}
				if inFlight := f.record(c.SID).Claim != nil; inFlight {
					if !f.proves(second) {
						t.Error("the second proves nothing any more")
					}
					f.finish(second, Completed)
				}
				if got := f.record(c.SID).State; got != tt.left {
					t.Errorf("the session is %s, want %s", got, tt.left)
				}
				if got := f.claim(c); got.Replayed != (tt.left == Consumed) || got.Live == got.Replayed {
					t.Errorf("claimed again by the second: live %v, replayed %v", got.Live, got.Replayed)
				}
			})
		}
	}
}
