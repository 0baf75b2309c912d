// SPDX-License-Identifier: Apache-2.0

package decoys

import (
	"math"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/twosample"
)

const (
	pairs = 2000
	// clients is how many ask at the same time; they mostly wait.
	clients = 128
	// shortPace is the step of this test. A shorter one is harder to keep.
	shortPace = 100 * time.Millisecond
	// alpha is how often a machine without any difference would fail one try;
	// three of them fail once in a million runs.
	alpha = 0.01
	tries = 3
	// bound is how much may be learnt from one answer at all, in each try.
	bound = 0.05
)

// TestF15_DecoyTakesAsLong: 2,000 pairs of requests, one of which the homeserver
// grants and one of which it refuses, cannot be told apart by the time of the
// answer.
func TestF15_DecoyTakesAsLong(t *testing.T) {
	r := newRig(t, shortPace)
	t.Logf("until the pace is found: %s", r.compare(t, clients))
	r.mails.Store(0)
	for try := 1; ; try++ {
		got := r.compare(t, pairs)
		t.Logf("try %d: granted and refused: %s", try, got)
		if math.Abs(got.Effect-0.5) > bound {
			t.Fatalf("try %d: one answer tells too much: effect %.3f", try, got.Effect)
		}
		if got.U > alpha && got.KS > alpha {
			break
		}
		if try == tries {
			t.Fatal("granted and refused requests can be told apart by their time")
		}
	}
}

// TestWithoutPaceADecoyIsFaster: the comparison finds the callback, if it is not
// hidden, although the work here is the same.
func TestWithoutPaceADecoyIsFaster(t *testing.T) {
	r := newRig(t, -1)
	got := r.compare(t, 400)
	t.Logf("granted and refused: %s", got)
	if got.U > alpha || got.Effect < 0.5+bound {
		t.Error("the comparison does not see the time of a callback; it would not see anything else")
	}
}

// compare sends pairs of requests, each in random order, from several clients.
func (r *rig) compare(t *testing.T, n int) twosample.Result {
	t.Helper()
	granted, refused, err := twosample.Interleave(n, clients,
		func() (time.Duration, error) { return r.request(nobody) },
		func() (time.Duration, error) { return r.request(owned) })
	if err != nil {
		t.Fatal(err)
	}
	return twosample.Compare(granted, refused)
}
