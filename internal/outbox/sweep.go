// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// sweep searches all partitions when transports have come into force, and then every
// so often.
func (o *Outbox) sweep() {
	tick := time.Tick(o.cfg.Sweep)
	for {
		select {
		case <-o.come: // and this search is for them
		default:
		}
		if t := o.term.Load(); t != nil {
			stuck := make(map[ref]bool)
			for n := range sealed.Partitions {
				o.search(t, sealed.PartitionName(n), stuck)
			}
			t.stuck = stuck
		}
		select {
		case <-o.quit.Done():
			return
		case <-o.come:
		case <-tick:
		}
	}
}

// search queues what is due in one partition. Waiting for room in the queue
// begins when the scan has ended: a snapshot is not held for a slow relay.
func (o *Outbox) search(t *term, p store.Partition, stuck map[ref]bool) {
	var due []ref
	count := 0
	unable := func(r ref, e Event) {
		stuck[r] = true
		if !t.stuck[r] { // once for each message, not for each sweep
			o.tell(t.inUse, e)
		}
	}
	err := verification.OutboxKind.Scan(o.quit, o.cfg.Store, p, func(key string, value []byte) (bool, error) {
		count++
		r := ref{p, key}
		rec, err := o.codec.open(key, value)
		switch {
		case err != nil:
			unable(r, Event{Outcome: Dropped, Err: err})
		case o.due(rec) && !o.carried(rec) && !rec.expired(o.cfg.Now()):
			e := o.event(rec)
			e.Outcome, e.Operator, e.Err = Deferred, true, errNoSender
			unable(r, e)
		case o.due(rec):
			due = append(due, r)
		}
		return true, nil
	})
	if err != nil {
		o.trouble(err)
	} else {
		o.tally.set(p, count)
	}
	for _, r := range due {
		o.queue.push(o.quit, r)
	}
}
