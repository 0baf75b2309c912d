// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"slices"
	"testing"
	"time"
)

// stopwatch tells the time that really passes: in the bubble of a siege none does while
// something is computed.
type stopwatch struct {
	asked chan struct{}
	told  chan time.Time
}

// newStopwatch starts one outside of all bubbles.
func newStopwatch(t *testing.T) *stopwatch {
	w := &stopwatch{make(chan struct{}), make(chan time.Time)}
	go func() {
		for range w.asked {
			w.told <- time.Now()
		}
	}()
	t.Cleanup(func() { close(w.asked) })
	return w
}

func (w *stopwatch) now() time.Time {
	w.asked <- struct{}{}
	return <-w.told
}

// took is how long something takes.
func (w *stopwatch) took(do func()) time.Duration {
	begun := w.now()
	do()
	return w.now().Sub(begun)
}

// median is zero where there are none.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
