// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
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
	backoffBase        = 5 * time.Second
	backoffCap         = 5 * time.Minute
	queueLength        = 4096
)

// Sender brings one message to its address. An error that has a method
// Temporary() bool returning true is tried again; any other is final.
type Sender interface {
	Send(ctx context.Context, m verification.Message) error
}

// Event is what became of one try to deliver. It holds no address.
type Event struct {
	// Outcome is "sent", "deferred" (will be tried again), "failed" (will
	// not), or "expired" (its token ended first).
	Outcome   string
	Purpose   verification.Purpose
	Medium    verification.Medium
	Pseudonym string
	Tries     int
	Duration  time.Duration
	Err       error
}

// Observer takes events. It must not block.
type Observer interface {
	Delivery(e Event)
}

// Config is what an outbox is made of. Store, Keys and Observer are required.
type Config struct {
	Store    store.Store
	Keys     *keyring.Ring
	Observer Observer
	// Senders has one for each medium that there is a transport for.
	Senders map[verification.Medium]Sender
	Workers int
	// Sweep is how often the store is searched for messages that nobody was
	// woken for: after a crash, a reload, or a delay.
	Sweep time.Duration
	// SendTimeout bounds one try. A lease is longer.
	SendTimeout time.Duration
	Now         func() time.Time
}

// Outbox takes messages and delivers them. It implements verification.Outbox.
type Outbox struct {
	cfg   Config
	codec codec
	queue chan ref
	stop  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
	run   string // names this run in leases
}

// ref is a message that may be due.
type ref struct {
	partition store.Partition
	id        string
}

var _ verification.Outbox = (*Outbox)(nil)

// New makes an outbox. It delivers nothing before Start.
func New(cfg Config) *Outbox {
	if cfg.Workers == 0 {
		cfg.Workers = DefaultWorkers
	}
	if cfg.Sweep == 0 {
		cfg.Sweep = DefaultSweep
	}
	if cfg.SendTimeout == 0 {
		cfg.SendTimeout = DefaultSendTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Outbox{
		cfg: cfg, codec: codec{cfg.Keys}, queue: make(chan ref, queueLength),
		stop: make(chan struct{}), run: rand.Text()[:12],
	}
}

// Put writes a message into the transaction of its session.
func (o *Outbox) Put(txn store.Txn, m verification.Message) error {
	return o.codec.put(txn, keyOf(m.ID), &record{Message: m})
}

// Wake says that a message was committed. If the queue is full the sweep will
// find it.
func (o *Outbox) Wake(p store.Partition, id string) {
	select {
	case o.queue <- ref{p, id}:
	default:
	}
}

// Start starts the workers and the sweep.
func (o *Outbox) Start() {
	for range o.cfg.Workers {
		o.wg.Go(o.work)
	}
	o.wg.Go(o.sweep)
}

// Stop lets the sends in flight finish, until ctx ends. What is left stays in
// the store, for the next outbox over it.
func (o *Outbox) Stop(ctx context.Context) error {
	o.once.Do(func() { close(o.stop) })
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Outbox) work() {
	for {
		// Stopping goes before whatever is queued.
		select {
		case <-o.stop:
			return
		default:
		}
		select {
		case <-o.stop:
			return
		case r := <-o.queue:
			o.deliver(r)
		}
	}
}

// sweep searches all partitions, at once and then every so often.
func (o *Outbox) sweep() {
	ticker := time.NewTicker(o.cfg.Sweep)
	defer ticker.Stop()
	for {
		for n := range verification.Partitions {
			o.search(verification.PartitionName(n))
		}
		select {
		case <-o.stop:
			return
		case <-ticker.C:
		}
	}
}

func (o *Outbox) search(p store.Partition) {
	var found []ref
	err := o.cfg.Store.Scan(context.Background(), p, keyPrefix, func(key string, sealed []byte) (bool, error) {
		if r, err := o.codec.open(key, sealed); err == nil && r.due(o.cfg.Now()) {
			found = append(found, ref{p, idOf(key)})
		}
		return len(found) < queueLength, nil
	})
	if err != nil && !errors.Is(err, store.ErrClosed) {
		o.cfg.Observer.Delivery(Event{Outcome: "failed", Err: err})
	}
	for _, r := range found {
		select {
		case <-o.stop:
			return
		case o.queue <- r:
		}
	}
}
