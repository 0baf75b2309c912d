// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// asyncTime is how long writes that nobody waits for may gather.
const asyncTime = 20 * time.Millisecond

// batch collects the writes of updates that are committed together.
type batch struct {
	writes map[string]entry
	cost   int64
	// taken is closed when the committer starts on the batch and a new one
	// gathers; done when it is on disk or has failed, with err set before.
	taken, done chan struct{}
	err         error
}

func newBatch() *batch {
	return &batch{
		writes: make(map[string]entry),
		taken:  make(chan struct{}),
		done:   make(chan struct{}),
	}
}

func (b *batch) empty() bool { return len(b.writes) == 0 }

// merge adds writes that cost so much. A key that is written again is
// committed once.
func (b *batch) merge(writes map[string]entry) {
	for key, e := range writes {
		if old, ok := b.writes[key]; ok {
			b.cost -= old.cost(key)
		}
		b.writes[key] = e
		b.cost += e.cost(key)
	}
}

func (b *batch) finish(err error) {
	b.err = err
	close(b.done)
}

// queue is the state of the database as the next update sees it: what Badger
// holds, under the batch that is being committed, under the batch that gathers.
type queue struct {
	db *badger.DB
	// maxCost and maxCount bound what fits one Badger transaction.
	maxCost, maxCount int64

	// lock guards the fields below, and runs the functions of updates one at a
	// time. It is a channel, not a mutex, so that a context can end the wait.
	lock chan struct{}
	// base reads what Badger held when inflight was taken. It is nil when
	// nothing is pending. To ask Badger for one during a commit would be to
	// wait for its end.
	base     *badger.Txn
	inflight *batch
	gather   *batch

	// kick tells the committer that gather is not empty.
	kick chan struct{}
	// patience kicks for writes that nobody waits for; waiting says that it is
	// going to.
	patience *time.Timer
	waiting  atomic.Bool
}

func (q *queue) init(db *badger.DB) {
	q.db = db
	// Badger adds an entry of its own to every transaction.
	const margin = 1 << 10
	q.maxCost, q.maxCount = db.MaxBatchSize()-margin, db.MaxBatchCount()-2
	q.lock = make(chan struct{}, 1)
	q.gather = newBatch()
	q.kick = make(chan struct{}, 1)
	q.patience = time.AfterFunc(asyncTime, func() {
		q.waiting.Store(false)
		q.signal()
	})
	q.patience.Stop()
}

// acquire takes the lock unless ctx ends first.
func (q *queue) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // a select between two ready cases picks any
		return err
	}
	select {
	case q.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *queue) release() { <-q.lock }

// fits reports whether the gathering batch can take so much more. The caller
// holds the lock, here and below.
func (q *queue) fits(count int, cost int64) bool {
	return int64(len(q.gather.writes)+count) <= q.maxCount && q.gather.cost+cost <= q.maxCost
}

// newest returns the batch that has to be on disk for what an update has read
// to be so, or nil.
func (q *queue) newest() *batch {
	if !q.gather.empty() {
		return q.gather
	}
	return q.inflight
}

// pending returns the newest write of a key that Badger does not show yet.
func (q *queue) pending(key string) (entry, bool) {
	if e, ok := q.gather.writes[key]; ok {
		return e, true
	}
	if q.inflight != nil {
		e, ok := q.inflight.writes[key]
		return e, ok
	}
	return entry{}, false
}

// openBase makes base readable.
func (q *queue) openBase() {
	if q.base == nil {
		q.base = q.db.NewTransaction(false)
	}
}

// closeBase lets go of base: an old snapshot keeps Badger from dropping
// anything newer.
func (q *queue) closeBase() {
	if q.base != nil {
		q.base.Discard()
		q.base = nil
	}
}

// signal wakes the committer.
func (q *queue) signal() {
	select {
	case q.kick <- struct{}{}:
	default: // it is going to wake up already
	}
}

// signalAsync lets the committer sleep until an update comes that somebody waits
// for, or a while has passed: a commit of these writes alone would only keep
// the next one waiting.
func (q *queue) signalAsync() {
	if q.waiting.CompareAndSwap(false, true) {
		q.patience.Reset(asyncTime)
	}
}

// advance ends the batch in flight with err and returns the next one to
// commit, or nil. It takes the lock itself.
func (q *queue) advance(err error) *batch {
	q.lock <- struct{}{}
	defer q.release()

	var ended []*batch
	if q.inflight != nil {
		ended = append(ended, q.inflight)
		q.inflight = nil
		q.closeBase()
		if err != nil && !q.gather.empty() {
			// What has gathered may have read what is now not written.
			close(q.gather.taken)
			ended = append(ended, q.gather)
			q.gather = newBatch()
		}
	}
	for _, b := range ended {
		b.finish(err)
	}
	if q.gather.empty() {
		q.closeBase()
		return nil
	}
	q.openBase()
	q.inflight, q.gather = q.gather, newBatch()
	close(q.inflight.taken)
	return q.inflight
}
