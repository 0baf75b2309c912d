// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Defaults of [Config].
const (
	DefaultWorkers     = 8
	DefaultMaxQueued   = 10_000
	DefaultSweep       = 5 * time.Second
	DefaultSendTimeout = 45 * time.Second
)

const (
	// leaseMargin is how much longer than a send a lease is: it covers two
	// accesses to the store and the difference between two machines' clocks.
	leaseMargin  = 30 * time.Second
	storeTimeout = 5 * time.Second
	// staleAfter is how long a claimed message waits for its turn before it is
	// looked at again: it may have been withdrawn.
	staleAfter = 2 * time.Second
	// cutOff is what a send that was cut off by Stop has left to return and
	// be written down.
	cutOff      = 2 * time.Second
	queueLength = 4096
	// ahead is how many messages are being claimed or settled for each that is
	// being sent. Both wait for a disk, and the more of them wait for it
	// together, the fewer times it has to be waited for.
	ahead = 3
)

// Config is what an outbox is made of. Store and Keys are required.
type Config struct {
	Store store.Store
	Keys  *keyring.Ring
	// Transports are what Start puts in force.
	Transports
	// Workers is how many messages are sent at the same time.
	Workers int
	// Sole says that no other process has the store open at the same time. What
	// a process that died was sending is then sent again by the next one at
	// once, and not when the lease ends.
	Sole bool
	// Sweep is how often the store is searched for messages that nobody was
	// woken for: after a crash, a reload, a lost wake-up or a delay. It is also
	// how late a message that was deferred may be.
	Sweep time.Duration
	// SendTimeout bounds one try.
	SendTimeout time.Duration
	// Lateness is how long after an uncertain end a message is sent once more;
	// zero means DefaultLateness.
	Lateness time.Duration
	// Now and Random are the clock and the randomness; nil means the real ones.
	Now    func() time.Time
	Random io.Reader
}

// Outbox takes messages and delivers them. It implements [verification.Outbox].
type Outbox struct {
	cfg   Config
	codec codec
	queue *queue
	tally tally

	mu sync.Mutex
	// used are the transports that somebody uses, the oldest first, which is in
	// force; own are those of the configuration.
	used []*inUse
	own  *inUse
	// term is the time for which they are; nil while messages wait.
	term atomic.Pointer[term]
	come chan struct{} // others have come into force

	// quit ends when Stop begins: nothing new is started. live ends when Stop
	// runs out of time: what was started is cut off.
	quit, live context.Context
	stop, kill context.CancelFunc
	start      sync.Once
	counting   atomic.Bool
	wg         sync.WaitGroup

	troubled atomic.Int64 // when the store's trouble was last reported
}

var _ verification.Outbox = (*Outbox)(nil)

// due reports whether a record may be worked on.
func (o *Outbox) due(rec *record) bool {
	if o.cfg.Sole && !rec.ours() {
		free := *rec
		free.Lease = ""
		rec = &free
	}
	return rec.due(o.cfg.Now())
}

// carried reports whether there is a transport for a message.
func (o *Outbox) carried(rec *record) bool {
	_, ok := o.inForce().Senders[rec.Message.Medium]
	return ok
}

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
	if cfg.Lateness <= 0 {
		cfg.Lateness = DefaultLateness
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	o := &Outbox{cfg: cfg, codec: codec{cfg.Keys}, queue: newQueue(queueLength), come: make(chan struct{}, 1)}
	o.own = o.prepare(cfg.Transports)
	o.live, o.kill = context.WithCancel(context.Background())
	o.quit, o.stop = context.WithCancel(o.live)
	return o
}

// partitionOf is the partition that an id begins with.
func partitionOf(id string) store.Partition {
	return store.Partition(id[:sealed.PartitionSize])
}

// errID refuses a message whose id does not begin with a partition.
var errID = errors.New("message id is too short")

// SetSender sets the transport of a medium. It is for the time before Start:
// a transport that is made after the outbox.
func (o *Outbox) SetSender(m threepid.Medium, s Sender) { o.own.Senders[m] = s }

// Put writes a message into the transaction of its session, or returns ErrFull.
// It sends nothing, and works whether or not the outbox has been started.
func (o *Outbox) Put(txn store.Txn, m verification.Message) error {
	key, ok := verification.OutboxKey(m.ID)
	if !ok {
		return errID
	}
	if o.tally.total.Load() >= int64(o.inForce().MaxQueued) {
		o.recount()
		// Whoever asked may not be told, see ADR 25.
		o.tellSeldom(Event{Outcome: Failed, Purpose: m.Purpose, Medium: m.Medium, Operator: true, Err: ErrFull})
		return ErrFull
	}
	if err := o.codec.put(txn, key, &record{Message: m}); err != nil {
		return err
	}
	o.tally.add(partitionOf(m.ID), 1)
	return nil
}

// Wake says that a message was committed. It never waits: if the queue is full
// the sweep will find the message.
func (o *Outbox) Wake(p store.Partition, id string) {
	if key, ok := verification.OutboxKey(id); ok {
		o.queue.offer(ref{p, key})
	}
}

// Start puts the transports of the configuration in force for good. Further calls do
// nothing.
func (o *Outbox) Start() {
	if o.term.Load() == nil {
		o.use(o.own)
	}
}

// run starts the workers and the sweep.
func (o *Outbox) run() {
	o.start.Do(func() {
		for range o.cfg.Workers * (1 + ahead) {
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
	o.start.Do(func() {}) // a store that is closed next is not touched any more
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
	select {
	case <-done:
	case <-time.After(cutOff):
	}
	return fmt.Errorf("stop the outbox: %w", ctx.Err())
}

func (o *Outbox) work() {
	for {
		r, ok := o.queue.take(o.quit)
		if !ok {
			return
		}
		if t := o.term.Load(); t != nil { // else it waits, and is searched for when there are transports
			o.deliver(t, r)
		}
	}
}
