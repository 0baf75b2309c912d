// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Defaults of [Config].
const (
	DefaultWorkers     = 4
	DefaultSweep       = 5 * time.Second
	DefaultSendTimeout = 45 * time.Second
)

const (
	// leaseMargin is how much longer than a send a lease is: it covers two
	// accesses to the store and the difference between two machines' clocks.
	leaseMargin  = 30 * time.Second
	storeTimeout = 5 * time.Second
	// cutOff is what a send that was cut off by Stop has left to return and
	// be written down.
	cutOff      = 2 * time.Second
	queueLength = 4096
)

// Sender brings one message to its address. It must return soon after ctx has
// ended: the message's lease outlasts ctx by little.
//
// An error that has a method Temporary() bool returning true is tried again,
// and so is one that comes when ctx has ended; any other is final. A method
// Operator() bool returning true says that the message is not at fault.
type Sender interface {
	Send(ctx context.Context, m verification.Message) error
}

// Config is what an outbox is made of. Store and Keys are required.
type Config struct {
	Store    store.Store
	Keys     *keyring.Ring
	Observer Observer
	// Senders has one for each medium that there is a transport for. A message
	// of another medium fails.
	Senders map[verification.Medium]Sender
	// Workers is how many messages are sent at the same time.
	Workers int
	// Sweep is how often the store is searched for messages that nobody was
	// woken for: after a crash, a reload, a lost wake-up or a delay. It is also
	// how late a message that was deferred may be.
	Sweep time.Duration
	// SendTimeout bounds one try.
	SendTimeout time.Duration
	// Now and Random are the clock and the randomness; nil means the real ones.
	Now    func() time.Time
	Random io.Reader
}

// Outbox takes messages and delivers them. It implements [verification.Outbox].
type Outbox struct {
	cfg   Config
	codec codec
	queue *queue

	// quit ends when Stop begins: nothing new is started. live ends when Stop
	// runs out of time: what was started is cut off.
	quit, live context.Context
	stop, kill context.CancelFunc
	start      sync.Once
	wg         sync.WaitGroup

	troubled atomic.Int64 // when the store's trouble was last reported
	unread   map[ref]bool // unreadable messages that the last sweep saw
}

var _ verification.Outbox = (*Outbox)(nil)

// New makes an outbox. It delivers nothing before Start.
func New(cfg Config) *Outbox {
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
	if cfg.Sweep <= 0 {
		cfg.Sweep = DefaultSweep
	}
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = DefaultSendTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Observer == nil {
		cfg.Observer = silent{}
	}
	cfg.Senders = maps.Clone(cfg.Senders)
	if cfg.Senders == nil {
		cfg.Senders = make(map[verification.Medium]Sender)
	}
	o := &Outbox{cfg: cfg, codec: codec{cfg.Keys}, queue: newQueue(queueLength)}
	o.live, o.kill = context.WithCancel(context.Background())
	o.quit, o.stop = context.WithCancel(o.live)
	return o
}

// errID refuses a message whose id does not begin with a partition.
var errID = errors.New("message id is too short")

// SetSender sets the transport of a medium. It is for the time before Start:
// a transport that is made after the outbox.
func (o *Outbox) SetSender(m verification.Medium, s Sender) { o.cfg.Senders[m] = s }

// Put writes a message into the transaction of its session. It sends nothing,
// and works whether or not the outbox has been started.
func (o *Outbox) Put(txn store.Txn, m verification.Message) error {
	key, ok := keyOf(m.ID)
	if !ok {
		return errID
	}
	return o.codec.put(txn, key, &record{Message: m})
}

// Wake says that a message was committed. It never waits: if the queue is full
// the sweep will find the message.
func (o *Outbox) Wake(p store.Partition, id string) {
	if key, ok := keyOf(id); ok {
		o.queue.offer(ref{p, key})
	}
}

// Start starts the workers and the sweep. Further calls do nothing.
func (o *Outbox) Start() {
	o.start.Do(func() {
		for range o.cfg.Workers {
			o.wg.Go(o.work)
		}
		o.wg.Go(o.sweep)
	})
}

// Stop starts no more sends and waits for those in flight. When ctx ends it
// cuts them off, and returns its error. What was not sent stays in the store,
// for the next outbox over it.
func (o *Outbox) Stop(ctx context.Context) error {
	defer o.kill()
	o.stop()
	o.start.Do(func() {}) // there is nothing to start any more
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	o.kill()
	grace := time.NewTimer(cutOff)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
	return fmt.Errorf("stop the outbox: %w", ctx.Err())
}

func (o *Outbox) work() {
	for {
		r, ok := o.queue.take(o.quit)
		if !ok {
			return
		}
		o.deliver(r)
	}
}
