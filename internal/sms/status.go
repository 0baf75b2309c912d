// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// GatewayStatus is what is known of a gateway.
type GatewayStatus struct {
	Name  string
	State string // failover.Closed, failover.Open or failover.HalfOpen
	// RetryAt is when an open one is tried again.
	RetryAt time.Time
	// LastError is the gateway's last fault, in words of this package: a word of
	// SendError.Reason, and the HTTP status if there was one.
	LastError   string
	LastErrorAt time.Time
	LastSuccess time.Time
	Sent        uint64 // taken by the gateway
	Refused     uint64 // not taken, for a reason of the number or the message
	Failed      uint64 // not taken for another reason
	Unsure      uint64 // of the failed ones: may have been sent all the same
	InFlight    int
}

// line is one gateway with what is known of it.
type line struct {
	name    string
	gateway Gateway
	slots   chan struct{}
	breaker *failover.Breaker

	mu    sync.Mutex
	known GatewayStatus
}

// take waits for one of the gateway's slots.
func (l *line) take(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		e := &SendError{Reason: ReasonTimeout, Gateway: l.name, Again: true, Err: ctx.Err()}
		if errors.Is(e.Err, context.Canceled) {
			e.Reason = ReasonInterrupted
		}
		return e
	}
}

func (l *line) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known.InFlight++
}

func (l *line) end() {
	l.mu.Lock()
	l.known.InFlight--
	l.mu.Unlock()
	<-l.slots
}

func (l *line) note(err error, v failover.Verdict, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.known.Sent++
		l.known.LastSuccess = now
		return
	case v == failover.Healthy:
		l.known.Refused++
		return
	}
	l.known.Failed++
	failed, ok := errors.AsType[*SendError](err)
	if ok && failed.Unsure {
		l.known.Unsure++
	}
	if ok && v == failover.Broken {
		l.known.LastError, l.known.LastErrorAt = failed.Reason, now
		if failed.Status != 0 {
			l.known.LastError += " " + strconv.Itoa(failed.Status)
		}
	}
}

func (l *line) status() GatewayStatus {
	state, until := l.breaker.Snapshot()
	l.mu.Lock()
	defer l.mu.Unlock()
	status := l.known
	status.Name, status.State = l.name, state
	if state == failover.Open {
		status.RetryAt = until
	}
	return status
}
