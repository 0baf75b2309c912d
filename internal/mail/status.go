// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// RelayStatus is what is known of a relay.
type RelayStatus struct {
	Name  string
	State string // BreakerClosed, BreakerOpen or BreakerHalfOpen
	// RetryAt is when an open one is tried again.
	RetryAt time.Time
	// LastError is the relay's last fault, in words of this package: the stage,
	// a word of SendError.Reason, and the reply code if there was one.
	LastError   string
	LastErrorAt time.Time
	// LastReply is what the relay said to it, where it knew of no recipient yet;
	// no address is in it. It is not for a log.
	LastReply   string
	LastSuccess time.Time
	Sent        uint64 // taken by the relay
	Refused     uint64 // not taken, for a reason of the recipient or the message
	Failed      uint64 // not taken for another reason
	Uncertain   uint64 // of the failed ones: may have been taken all the same
	// InARow is how many were not taken since the last that was.
	InARow   uint64
	InFlight int
}

// relay is one of several, with what is known of it.
type relay struct {
	Relay
	breaker *failover.Breaker

	mu    sync.Mutex
	known RelayStatus
}

func (r *relay) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.InFlight++
}

func (r *relay) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.InFlight--
}

func (r *relay) note(err error, v failover.Verdict, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.known.Sent++
		r.known.LastSuccess, r.known.InARow = now, 0
		return
	case v == failover.Healthy:
		r.known.Refused++
	default:
		r.known.Failed++
	}
	failed, known := errors.AsType[*SendError](err)
	if !known || failed.Reason != ReasonInterrupted {
		r.known.InARow++
	}
	if v == failover.Broken || known && failed.uncertain {
		r.known.LastError, r.known.LastErrorAt, r.known.LastReply = inWords(failed), now, failed.nameless()
	}
	if known && failed.uncertain {
		r.known.Uncertain++
	}
}

// Failing reports that no mail gets through, whatever the breaker says: it
// counts faults of the relay alone, and only some in a row.
func (s RelayStatus) Failing() bool {
	return s.LastErrorAt.After(s.LastSuccess) || s.InARow >= DefaultBreakerThreshold
}

// inWords tells an error in words of this package only: nothing in it was
// written by a relay, or names a reader.
func inWords(failed *SendError) string {
	text := failed.Stage + ": " + failed.Reason
	if failed.Code != 0 {
		text += " " + strconv.Itoa(failed.Code)
	}
	if failed.Stage == "auth" && failed.Detail != "" { // what is offered
		text += ": " + failed.Detail
	}
	return text
}

func (r *relay) status() RelayStatus {
	state, until := r.breaker.Snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	status := r.known
	status.Name, status.State = r.Name, state
	if state == BreakerOpen {
		status.RetryAt = until
	}
	return status
}

// Status tells what is known of the relays, in the order of preference.
func (r *Relays) Status() []RelayStatus {
	all := make([]RelayStatus, 0, len(r.relays))
	for _, one := range r.relays {
		all = append(all, one.status())
	}
	return all
}
