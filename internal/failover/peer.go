// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"sync"
	"time"
)

// Status is what is known of a peer.
type Status struct {
	Name  string
	State string // Closed, Open or HalfOpen
	// RetryAt is when an open one is tried again.
	RetryAt time.Time
	// LastError is the peer's last fault, in words of our own.
	LastError   string
	LastErrorAt time.Time
	// LastReply is what the peer said to it, if that names nobody. It is not for
	// a log.
	LastReply   string
	LastSuccess time.Time
	Sent        uint64 // taken by the peer
	Refused     uint64 // not taken, for a reason of the recipient or the message
	Failed      uint64 // not taken for another reason
	Uncertain   uint64 // may have been taken all the same
	// InARow is how many were missed since the last that was taken.
	InARow   uint64
	InFlight int
}

// Failing reports that nothing gets through, whatever the breaker says: it counts
// faults of the peer alone, and only some in a row.
func (s Status) Failing() bool {
	return s.LastErrorAt.After(s.LastSuccess) || s.InARow >= DefaultThreshold
}

// Peer is one of those that are tried in order.
type Peer[T any] struct {
	Name string
	Via  T // what the message is handed to

	cfg     Config
	breaker *breaker

	mu    sync.Mutex
	known Status
}

// NewPeer makes a peer by a configuration that [Config.WithDefaults] has completed.
func NewPeer[T any](name string, via T, cfg Config) *Peer[T] {
	return &Peer[T]{Name: name, Via: via, cfg: cfg, breaker: closedBreaker(cfg)}
}

// Status tells what is known of it now.
func (p *Peer[T]) Status() Status {
	state, until := p.breaker.snapshot()
	p.mu.Lock()
	defer p.mu.Unlock()
	status := p.known
	status.Name, status.State = p.Name, state
	if state == Open {
		status.RetryAt = until
	}
	return status
}

func (p *Peer[T]) flying(more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.InFlight += more
}

func (p *Peer[T]) changed() {
	if p.cfg.OnChange != nil {
		p.cfg.OnChange(p.Status())
	}
}

// note keeps account of what came of a message.
func (p *Peer[T]) note(o Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case o.Unasked:
		return
	case o.Err == nil:
		p.known.Sent++
		p.known.LastSuccess, p.known.InARow = p.cfg.Now(), 0
		return
	case o.Verdict == Healthy:
		p.known.Refused++
	default:
		p.known.Failed++
	}
	if o.Missed {
		p.known.InARow++
	}
	if o.Uncertain {
		p.known.Uncertain++
	}
	if o.Fault != "" {
		p.known.LastError, p.known.LastErrorAt, p.known.LastReply = o.Fault, p.cfg.Now(), o.Reply
	}
}
