// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// leastStep is more than twice what a homeserver mostly takes to ask back,
	// and too little for a person who waits for a mail to mind.
	leastStep = 400 * time.Millisecond
	// mostStep is where a slow homeserver is not waited for any more: a step is
	// then shorter than what it takes, and answers fall on multiples of it.
	mostStep = 3200 * time.Millisecond
	// stepWindow is how long a slow answer is remembered, in parts.
	stepWindow = time.Hour
	stepParts  = 6
)

// equalizer lets a requestToken that the homeserver has granted take as long as one
// that it has refused and that is answered by a decoy. Both do the same work
// here, but the homeserver does not: it calls back only if it grants. So the
// answer is given at the end of a step, or of several: a step that is longer
// than nearly every request takes tells nothing.
//
// Which step that is must not tell anything either. It is one of few, each twice
// as long as the one before; it is chosen when a request begins; and it has room
// for twice the slowest answer of the last hour, and twice what was usual when the
// homeserver last granted something.
type equalizer struct {
	least time.Duration

	mu      sync.Mutex
	slowest [stepParts]time.Duration
	part    int64 // which part of time the first of them is about
	usual   time.Duration
}

func newEqualizer(least time.Duration) *equalizer { return &equalizer{least: least} }

// answerTime is when one request began, and the step at whose end it is answered.
type answerTime struct {
	equalizer *equalizer
	started   time.Time
	step      time.Duration
}

// start chooses the step of a request. It may be called on nil, for requests that
// have nothing to hide.
func (p *equalizer) start() *answerTime {
	if p == nil {
		return nil
	}
	start := time.Now()
	return &answerTime{p, start, p.step(start)}
}

// step is the one for a request that begins now.
func (p *equalizer) step(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	slow := max(p.usual, slices.Max(p.slowest[:]))
	step := p.least
	for step < 2*slow && step < mostStep {
		step *= 2
	}
	return step
}

// turn makes room for the part of time that now is in.
func (p *equalizer) turn(now time.Time) {
	part := now.UnixNano() / int64(stepWindow/stepParts)
	for p.part = max(p.part, part-stepParts); p.part < part; p.part++ {
		copy(p.slowest[1:], p.slowest[:])
		p.slowest[0] = 0
	}
}

// took notes how long a request took by itself.
func (p *equalizer) took(now time.Time, d time.Duration, granted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	p.slowest[0] = max(p.slowest[0], d)
	switch {
	case granted && p.usual == 0:
		p.usual = d
	case granted:
		p.usual += (d - p.usual) / 16
	}
}

// wait waits for the end of the step, unless the client has gone.
func (b *answerTime) wait(ctx context.Context, granted bool) {
	if b == nil {
		return
	}
	now := time.Now()
	took := now.Sub(b.started)
	b.equalizer.took(now, took, granted)
	timer := time.NewTimer(b.step - took%b.step)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
