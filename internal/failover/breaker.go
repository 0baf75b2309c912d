// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"encoding/binary"
	"io"
	"math/bits"
	"sync"
	"time"
)

// The states of a breaker, as they are shown to people.
const (
	Closed   = "closed"    // all goes through
	Open     = "open"      // nothing does, until a moment that is known
	HalfOpen = "half-open" // one message does, to see
)

// Verdict is what a message says about its peer.
type Verdict uint8

// The verdicts.
const (
	Healthy Verdict = iota // it did its work, be it by refusing a recipient
	Broken                 // it did not
	Unknown                // we stopped too early to tell
)

// breaker keeps messages from a peer that has failed several times in a row.
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
	probe bool // it is to show whether the peer works again
}

// admit returns a permit, or when to ask again.
func (b *breaker) admit(now time.Time) (p permit, retry time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if retry, ok = b.ready(now); !ok {
		return permit{}, retry, false
	}
	if b.state == Open {
		b.enter(HalfOpen)
	}
	return permit{round: b.round, probe: b.state == HalfOpen}, now, true
}

// admits tells whether there would be a permit now, or when to ask again.
func (b *breaker) admits(now time.Time) (retry time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready(now)
}

func (b *breaker) ready(now time.Time) (retry time.Time, ok bool) {
	switch {
	case b.state == Closed, b.state == Open && !now.Before(b.until):
		return now, true
	case b.state == HalfOpen: // its probe is under way
		return now.Add(b.base), false
	}
	return b.until, false
}

// done reports what came of a message, and whether that changed the state.
func (b *breaker) done(p permit, v Verdict, now time.Time) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.round != b.round {
		return false
	}
	switch {
	case v == Healthy:
		b.failures, b.trips = 0, 0
		if p.probe {
			b.enter(Closed)
		}
		return p.probe
	case v == Unknown && p.probe: // somebody else may try, at once
		b.until = now
		b.enter(Open)
		return true
	case v == Unknown:
		return false
	}
	b.failures++
	if !p.probe && b.failures < b.threshold {
		return false
	}
	b.until = now.Add(b.delay())
	b.trips++
	b.enter(Open)
	return true
}

func (b *breaker) enter(state string) {
	b.state = state
	b.round++
}

// delay is between half of a limit and all of it; the limit doubles with every
// probe that fails. Several nodes that share a peer do not probe in step.
func (b *breaker) delay() time.Duration {
	limit := b.cap
	if b.base < b.cap>>b.trips { // and not the other way round, which could overflow
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

// snapshot is the state for a status, and until when an open one stays so.
func (b *breaker) snapshot() (state string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.until
}
