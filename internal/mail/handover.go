// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// DefaultHandoverTimeout is how long a relay may take to answer the final
	// dot of a mail (RFC 5321 §4.5.3.2.6). Whoever gives up earlier, and sends
	// the mail again, makes two of one.
	DefaultHandoverTimeout = 10 * time.Minute
	// DefaultSlow is after how much of that time nobody else waits for it.
	DefaultSlow = 10 * time.Second
)

// Patience lets [SMTP.Send] outlast its context once the relay has the whole
// mail. Without it the context bounds that wait, too.
type Patience struct {
	// Live ends the wait before its time; default: the context of Send.
	Live context.Context
	// Slow, if set, is called once if the relay takes its time: whoever has
	// called Send should go on with others.
	Slow func()
	// Again says that the mail may have been sent already. Several relays then
	// begin with the next: the first may be one that never answers.
	Again bool
}

type patienceKey struct{}

// WithPatience adds patience to a context for Send.
func WithPatience(ctx context.Context, p Patience) context.Context {
	return context.WithValue(ctx, patienceKey{}, p)
}

func patienceOf(ctx context.Context) Patience {
	p, _ := ctx.Value(patienceKey{}).(Patience)
	if p.Live == nil {
		p.Live = ctx
	}
	return p
}

// whenSlow adds something to do when the relay takes its time.
func whenSlow(ctx context.Context, do func()) context.Context {
	p := patienceOf(ctx)
	before := p.Slow
	p.Slow = func() {
		do()
		if before != nil {
			before()
		}
	}
	return WithPatience(ctx, p)
}

// handover is the time from a mail's final dot to the answer. It has limits of
// its own; those of the delivery end with its begin.
type handover struct {
	Patience
	conn  net.Conn
	leave func() // gives back the place among those that are sent to the relay
	limit func() bool
	slow  time.Duration

	begun   atomic.Bool
	endLive func() bool
	timer   *time.Timer
}

// begin is called when the final dot is written.
func (h *handover) begin() {
	h.begun.Store(true)
	h.limit()
	h.endLive = context.AfterFunc(h.Live, func() { _ = h.conn.Close() })
	h.timer = time.AfterFunc(h.slow, func() {
		if h.Slow != nil {
			h.Slow()
		}
		h.leave() // which may have to wait
	})
}

// end returns whether nothing has cut the wait off.
func (h *handover) end() bool {
	h.timer.Stop()
	return h.endLive()
}

// unanswered makes the error of a mail that was handed over whole: what is not
// a clear no may have been a yes.
func (h *handover) unanswered(err error) *SendError {
	reply, ok := errors.AsType[*smtp.SMTPError](err)
	if ok && (reply.Code/100 == 4 || reply.Code/100 == 5) {
		return failure(h.Live, "data", err)
	}
	if garbled := textproto.ProtocolError(""); ok || errors.As(err, &garbled) {
		err = errOddReply
	}
	e := failure(h.Live, "data", err)
	if errors.Is(err, errOddReply) {
		e.because(err)
	}
	e.uncertain, e.temporary, e.operator = true, true, false
	e.Detail += "; the relay has the whole mail"
	return e
}

// place is a mail's among those that are being sent to a relay.
type place struct {
	leave   func() // may be called again
	waiting chan struct{}
	done    chan struct{}

	mu            sync.Mutex
	beside, ended bool
}

// step makes room for others, as soon as there is room to wait besides: a relay
// bears only so many connections.
func (p *place) step() {
	select {
	case p.waiting <- struct{}{}:
	case <-p.done:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		<-p.waiting
		return
	}
	p.beside = true
	p.leave()
}

func (p *place) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	close(p.done)
	if p.beside {
		<-p.waiting
	}
	p.leave()
}
