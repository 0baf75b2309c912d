// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// Heat is how much each network has had of late: what it was counted for fades by half
// every [fade]. It is a sketch (count-min, over a hash with a key that no one knows), so
// it takes the same memory for any number of networks, and says at most too much of one,
// rarely. It is not stored: budgets are, and who hammers is known again in a moment.
//
// Only the widest network of a client is counted: who has a /48 has 65,536 narrow ones,
// which would fill the sketch, and be taken for everybody's.
type Heat struct {
	mu    sync.Mutex
	seeds [rows]maphash.Seed
	cells [rows][columns]float64
	epoch time.Time // when a cell's weight was one
	last  time.Time
}

const (
	rows    = 4
	columns = 8192
	// fade is the time in which half of what a network had is forgotten.
	fade = 20 * time.Minute
	// refusal is what a refused request adds, which gets nothing: who hammers comes last.
	refusal = 0.25
	// hottest is the most that refusals make of a network: it has faded to nothing that
	// matters within the hour.
	hottest = 7
	// renewal is how far the weights may grow before they are taken back to one.
	renewal = 512 * fade
)

// NewHeat returns one in which nobody has had anything.
func NewHeat() *Heat {
	h := &Heat{}
	for i := range h.seeds {
		h.seeds[i] = maphash.MakeSeed()
	}
	return h
}

// Of is how much a network has had of late.
func (h *Heat) Of(n Network, now time.Time) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read(n, now)
}

// Add counts a message that a network gets.
func (h *Heat) Add(n Network, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(n, 1, now)
}

// Refused counts a request that gets nothing.
func (h *Heat) Refused(n Network, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if more := min(refusal, hottest-h.read(n, now)); more > 0 {
		h.add(n, more, now)
	}
}

// Cools is how long it takes until a network has at most so much.
func (h *Heat) Cools(n Network, to float64, now time.Time) time.Duration {
	has := h.Of(n, now)
	if has <= to {
		return 0
	}
	return time.Duration(float64(fade) * math.Log2(has/to))
}

func (h *Heat) read(n Network, now time.Time) float64 {
	weight := h.weight(now)
	least := math.Inf(1)
	for i := range h.cells {
		least = min(least, h.cells[i][h.column(i, n)])
	}
	return least / weight
}

func (h *Heat) add(n Network, much float64, now time.Time) {
	much *= h.weight(now)
	for i := range h.cells {
		h.cells[i][h.column(i, n)] += much
	}
}

func (h *Heat) column(row int, n Network) uint64 {
	return maphash.String(h.seeds[row], string(n)) % columns
}

// weight is what one message counts now: it doubles where all that is older should be
// halved. When the clock was set back, nobody has had anything.
func (h *Heat) weight(now time.Time) float64 {
	if now.Before(h.last.Add(-time.Minute)) || now.Sub(h.epoch) > renewal {
		h.cells, h.epoch = [rows][columns]float64{}, now
	}
	h.last = now
	return math.Exp2(float64(now.Sub(h.epoch)) / float64(fade))
}
