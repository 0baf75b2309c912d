// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Transports are what messages are sent with while one configuration is in force.
type Transports struct {
	// Senders has one for each medium that there is a transport for. A message
	// of another medium waits, until it expires.
	Senders  map[threepid.Medium]Sender
	Observer Observer
	// MaxQueued is how many messages may wait in the store before Put refuses
	// more with ErrFull. It is counted in memory, and exactly with every sweep.
	MaxQueued int
	// Suppressed, if set, is asked before every send why a message may not go to
	// its address; an empty reason lets it pass.
	Suppressed func(ctx context.Context, m verification.Message) (reason string, err error)
}

// inUse are transports with what is known of them.
type inUse struct {
	Transports
	// slots has an element for each message that is being sent with them.
	slots   chan struct{}
	history history
	stuck   map[ref]bool // what the last sweep saw and could not have sent
}

// term is a time for which transports are in force.
type term struct {
	*inUse
	over chan struct{} // closed at its end
}

// ended reports whether others have come into force, or nobody's are.
func (t *term) ended() bool {
	select {
	case <-t.over:
		return true
	default:
		return false
	}
}

// ErrOver is why a message is given back untried: the time of its transports has ended.
var ErrOver = errors.New("these transports are not in force any more")

type overKey struct{}

// Begin returns [ErrOver] if nothing may begin any more with the transports that a send is
// for. Whoever has waited for anything since it was called asks before it hands a message
// over: the owner of the transports may have taken them down meanwhile.
func Begin(ctx context.Context) error {
	if over, ok := ctx.Value(overKey{}).(func() bool); ok && over() {
		return ErrOver
	}
	return nil
}

func (o *Outbox) prepare(t Transports) *inUse {
	if t.MaxQueued <= 0 {
		t.MaxQueued = DefaultMaxQueued
	}
	if t.Observer == nil {
		t.Observer = silent{}
	}
	t.Senders = maps.Clone(t.Senders)
	if t.Senders == nil {
		t.Senders = make(map[threepid.Medium]Sender)
	}
	return &inUse{Transports: t, slots: make(chan struct{}, o.cfg.Workers)}
}

// Use puts transports in force until they are released: at once if there are none, else
// when all have been released that were used before. The new ones may be those of a
// configuration that is given up before it ever serves; they have sent nothing then. What
// is being sent ends with the transport that it began with, all else is sent with those
// that come into force. While there are none, messages wait.
func (o *Outbox) Use(t Transports) (release func()) {
	u := o.prepare(t)
	o.use(u)
	return sync.OnceFunc(func() { o.change(func() { o.used = slices.DeleteFunc(o.used, func(x *inUse) bool { return x == u }) }) })
}

func (o *Outbox) use(u *inUse) {
	o.change(func() { o.used = append(o.used, u) })
	o.run()
}

// change lets the oldest transports come into force.
func (o *Outbox) change(use func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	use()
	before := o.term.Load()
	var oldest *inUse
	if len(o.used) > 0 {
		oldest = o.used[0]
	}
	if before != nil && before.inUse == oldest {
		return
	}
	var now *term
	if oldest != nil {
		now = &term{oldest, make(chan struct{})}
	}
	o.term.Store(now)
	if before != nil {
		close(before.over)
	}
	select {
	case o.come <- struct{}{}: // messages that have waited are searched for at once
	default:
	}
}

// inForce are the transports in force, or those of the configuration before there are
// any.
func (o *Outbox) inForce() *inUse {
	if t := o.term.Load(); t != nil {
		return t.inUse
	}
	return o.own
}
