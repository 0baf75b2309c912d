// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
)

// Transport brings one message to somewhere. [SMTP] and [Dir] are such.
type Transport interface {
	Send(ctx context.Context, from, to string, message []byte) error
}

// Relay is a transport with a name to tell it from others by.
type Relay struct {
	Name      string
	Transport Transport
}

// relay is one of several, with what is known of it.
type relay = failover.Peer[Transport]

// Relays sends by the first of several relays that is in order.
type Relays struct {
	relays []*relay
}

var _ Transport = (*Relays)(nil)

// NewRelays makes a transport of several, in the order of preference. There
// must be one at least, and their names must differ.
func NewRelays(relays []Relay, cfg failover.Config) (*Relays, error) {
	if len(relays) == 0 {
		return nil, errors.New("at least one relay is required")
	}
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("leave a broken relay alone: %w", err)
	}
	r := &Relays{}
	names := map[string]bool{}
	for _, one := range relays {
		if one.Name == "" || names[one.Name] || one.Transport == nil {
			return nil, fmt.Errorf("relay %q needs a name of its own, and a transport", one.Name)
		}
		names[one.Name] = true
		r.relays = append(r.relays, failover.NewPeer(one.Name, one.Transport, cfg))
	}
	return r, nil
}

// Send brings a message to the first relay that takes it. It goes on to the
// next while nothing of the message was sent and the fault is not with the
// recipient. A second relay after the text was sent could make two mails of
// one; the outbox decides about that, later.
func (r *Relays) Send(ctx context.Context, from, to string, message []byte) error {
	err := failover.Walk(ctx, r.order(patienceOf(ctx).Again), &mailing{from: from, to: to, message: message})
	if alone, ok := errors.AsType[*failover.LeftAloneError](err); ok {
		return &SendError{
			Stage: "relay", Reason: ReasonNoRelay, Detail: "every relay has failed repeatedly, and is left alone for a while",
			temporary: true, operator: true, retryAfter: alone.For,
		}
	}
	return err
}

// order is that in which relays are tried.
func (r *Relays) order(again bool) []*relay {
	if !again {
		return r.relays
	}
	return append(r.relays[1:len(r.relays):len(r.relays)], r.relays[0])
}

// mailing is one mail on its way to the relays.
type mailing struct {
	from, to string
	message  []byte
	send     func(ctx context.Context, from, to string, message []byte) error // in its place
}

func (m *mailing) Place(ctx context.Context, to *relay) (leave func(), o failover.Outcome) {
	s, ok := to.Via.(*SMTP)
	if !ok {
		m.send = to.Via.Send
		return func() {}, failover.Outcome{}
	}
	t, failed := s.turn(ctx)
	if failed != nil {
		return nil, outcome(failed)
	}
	m.send = t.send
	return t.end, failover.Outcome{}
}

func (m *mailing) Send(ctx context.Context, _ *relay, a failover.Attempt) failover.Outcome {
	if a.Probe { // it has taken the text: others need not wait for the answer
		ctx = whenSlow(ctx, a.Works)
	}
	return outcome(m.send(ctx, m.from, m.to, m.message))
}

// outcome tells what came of one try.
func outcome(err error) failover.Outcome {
	o := failover.Outcome{Err: err, Verdict: judge(err)}
	failed, known := errors.AsType[*SendError](err)
	if !known {
		o.Missed = err != nil
		return o
	}
	o.Elsewhere, o.Temporary, o.Uncertain = failed.elsewhere(), failed.Temporary(), failed.uncertain
	o.Missed = failed.Reason != ReasonInterrupted
	if o.Verdict == failover.Broken || failed.uncertain {
		o.Fault, o.Reply = inWords(failed), failed.nameless()
	}
	return o
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

// judge tells what the outcome of one message says about the relay.
func judge(err error) failover.Verdict {
	failed, ok := errors.AsType[*SendError](err)
	switch {
	case err == nil:
		return failover.Healthy
	case !ok: // the envelope, or a transport of another kind
		return failover.Unknown
	case failed.Reason == ReasonInterrupted, failed.Stage == "wait", failed.Stage == "closed", failed.uncertain:
		return failover.Unknown
	case failed.lacking(), failed.Stage == "rcpt" && failed.answered():
		return failover.Healthy // greylisting included
	case failed.Stage == "data" && failed.answered() && (!failed.Temporary() || failed.mailbox()):
		return failover.Healthy // a message that is asked to come back has not found fault with itself
	}
	return failover.Broken
}

// answered reports that a relay that works made a decision about this mail.
func (e *SendError) answered() bool {
	return e.Code >= 400 && e.Code != 421 && !e.operator
}

// mailbox reports that a reply is about the state of one mailbox (RFC 3463 §3.3), like
// one that is full. Relays that pass a mail on at once say so after its text, too.
func (e *SendError) mailbox() bool { return strings.HasPrefix(e.Enhanced, "4.2.") }

// elsewhere reports that another relay may be asked: nothing of the message was
// sent, and it is not the recipient who was refused.
func (e *SendError) elsewhere() bool {
	switch {
	case e.Stage == "data", e.Reason == ReasonInterrupted:
		return false
	case e.Stage == "rcpt":
		return !e.answered()
	}
	return true
}

// RetryAfter is how long every relay will be left alone; 0 means nothing.
func (e *SendError) RetryAfter() time.Duration { return e.retryAfter }

// Status tells what is known of the relays, in the order of preference.
func (r *Relays) Status() []failover.Status {
	all := make([]failover.Status, 0, len(r.relays))
	for _, one := range r.relays {
		all = append(all, one.Status())
	}
	return all
}

// Close closes the transports that can be closed.
func (r *Relays) Close() error {
	var errs []error
	for _, one := range r.relays {
		if c, ok := one.Via.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Check goes through all relays, whatever their state (see [SMTP.Check]).
func (r *Relays) Check(ctx context.Context, from string) []Finding {
	var found []Finding
	for _, one := range r.relays {
		checker, ok := one.Via.(interface {
			Check(ctx context.Context, from string) []Finding
		})
		if !ok {
			continue
		}
		for _, f := range checker.Check(ctx, from) {
			f.Relay = cmp.Or(f.Relay, one.Name)
			found = append(found, f)
		}
	}
	return found
}
