// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// The outcomes of an [Event]: there are no others, so they can be the values
// of a metric's label.
const (
	// Sent: the relay has taken the message.
	Sent = "sent"
	// Deferred: it will be tried again.
	Deferred = "deferred"
	// Failed: it will not be tried again, and its reader gets nothing.
	Failed = "failed"
	// Expired: its token ends before it could be sent.
	Expired = "expired"
	// Uncertain: it may have been sent, twice at most. It will not be tried again.
	Uncertain = "uncertain"
	// Suppressed: nothing may be sent to this address.
	Suppressed = "suppressed"
	// Dropped: it cannot be read with these keys or by this version. It stays
	// in the store, where another process may know better, until it expires.
	Dropped = "dropped"
)

// Event is what became of one try to deliver. It holds no address.
type Event struct {
	// Outcome is one of the constants of this package.
	Outcome string
	// Purpose, Medium and Pseudonym are empty when no message could be read:
	// with Dropped, and with Deferred when the store failed, in which case
	// every message waits.
	Purpose threepid.Purpose
	Medium  threepid.Medium
	// Pseudonym stands for the address; see [keyring.Ring.Pseudonym].
	Pseudonym string
	// Tries counts the sends so far, this one included.
	Tries int
	// Duration is how long the transport took; zero if it was not asked.
	Duration time.Duration
	// Age is how long ago the message was asked for.
	Age time.Duration
	// Operator says that the transport or its configuration is at fault, not
	// this message: all others will fare the same.
	Operator bool
	// Reason is the transport's word for a failure, one of a closed set (see
	// the package mail), or empty.
	Reason string
	// Err is why it was not sent; addresses and secrets are taken out.
	Err error
}

// Observer takes events, for logs and metrics. It must not block, and is
// called by several goroutines.
type Observer interface {
	Delivery(e Event)
}

type silent struct{}

func (silent) Delivery(Event) {}

// event describes a message before anything has happened to it.
func (o *Outbox) event(rec *record) Event {
	now, m := o.cfg.Now(), rec.Message
	return Event{
		Purpose: m.Purpose, Medium: m.Medium, Pseudonym: o.cfg.Keys.Pseudonym(now, m.Address),
		Tries: rec.Tries, Age: now.Sub(m.Created),
	}
}

// trouble reports that the store failed, and not for each of the messages that
// have to wait for it: at most once per sweep.
func (o *Outbox) trouble(err error) {
	o.tellSeldom(Event{Outcome: Deferred, Operator: true, Err: err})
}

// tellSeldom passes on what is the matter with all messages, at most once per sweep.
func (o *Outbox) tellSeldom(e Event) {
	if o.quit.Err() != nil {
		return // a store that is closed under a stopping outbox is no news
	}
	now, last := o.cfg.Now().UnixNano(), o.troubled.Load()
	if now-last >= int64(o.cfg.Sweep) && o.troubled.CompareAndSwap(last, now) {
		o.tell(o.inForce(), e)
	}
}

// tell passes an event on, and remembers it if something is wrong.
func (o *Outbox) tell(u *inUse, e Event) {
	if e.Err != nil {
		u.history.add(o.cfg.Now(), e)
	}
	u.Observer.Delivery(e)
}
