// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"encoding/binary"
	"io"
	"math/bits"
	"sync"
	"time"
)

// The states of a breaker, as they are shown to people.
const (
	BreakerClosed   = "closed"    // all goes through
	BreakerOpen     = "open"      // nothing does, until a moment that is known
	BreakerHalfOpen = "half-open" // one message does, to see
)

// verdict is what a message says about its relay.
type verdict uint8

const (
	healthy verdict = iota // it did its work, be it by refusing a recipient
	broken                 // it did not
	unknown                // we stopped too early to tell
)

// breaker keeps messages from a relay that has failed several times in a row.
type breaker struct {
	threshold int           // failures in a row that open it
	base, cap time.Duration // the first delay, and the longest
	random    io.Reader     // for jitter

	mu       sync.Mutex
	state    string
	failures int
	trips    int       // openings since it last worked
	until    time.Time // when an open one lets a message try
	round    uint64    // changes with every change of state
}

// permit is the right to send one message. What a message of an earlier round
// has to say is out of date.
type permit struct {
	round uint64
	probe bool
}

// admit returns a permit, or when to ask again.
func (b *breaker) admit(now time.Time) (p permit, retry time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == BreakerClosed:
		return permit{round: b.round}, now, true
	case b.state == BreakerOpen && !now.Before(b.until):
		b.enter(BreakerHalfOpen)
		return permit{round: b.round, probe: true}, now, true
	case b.state == BreakerHalfOpen: // its probe is under way
		return permit{}, now.Add(b.base), false
	}
	return permit{}, b.until, false
}

// done reports what came of a message, and whether that changed the state.
func (b *breaker) done(p permit, v verdict, now time.Time) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.round != b.round {
		return false
	}
	switch {
	case v == healthy:
		b.failures, b.trips = 0, 0
		if p.probe {
			b.enter(BreakerClosed)
		}
		return p.probe
	case v == unknown && p.probe: // somebody else may try, at once
		b.until = now
		b.enter(BreakerOpen)
		return true
	case v == unknown:
		return false
	}
	b.failures++
	if !p.probe && b.failures < b.threshold {
		return false
	}
	b.until = now.Add(b.delay())
	b.trips++
	b.enter(BreakerOpen)
	return true
}

func (b *breaker) enter(state string) {
	b.state = state
	b.round++
}

// delay is between half of a limit and all of it; the limit doubles with every
// probe that fails. Several nodes that share a relay do not probe in step.
func (b *breaker) delay() time.Duration {
	limit := b.cap
	if b.trips < 32 && b.base < b.cap>>b.trips {
		limit = b.base << b.trips
	}
	var raw [8]byte
	if _, err := io.ReadFull(b.random, raw[:]); err != nil {
		return limit // late is better than never
	}
	half := limit / 2
	more, _ := bits.Mul64(binary.BigEndian.Uint64(raw[:]), uint64(limit-half)+1) // a fraction of it
	return half + time.Duration(more)
}

// snapshot is the state for a status.
func (b *breaker) snapshot() (state string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.until
}
