// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// ErrFull refuses a message because too many wait: nobody would read a mail
// that comes after its link has ended. It has a RetryAfter.
var ErrFull error = fullError{}

type fullError struct{}

func (fullError) Error() string { return "the outbox is full" }

// RetryAfter is when to ask again: a guess, as nobody knows when the relay will
// be back, that keeps those who wait from asking all the time.
func (fullError) RetryAfter() time.Duration { return 30 * time.Second }

// Temporary reports that asking again can help.
func (fullError) Temporary() bool { return true }

// tally is about how many messages wait in the store. Put counts up although
// its transaction may fail, and a message that is withdrawn is not counted down;
// each sweep sets that right, partition by partition.
type tally struct {
	total atomic.Int64
	parts [sealed.Partitions]atomic.Int64
}

func (t *tally) add(p store.Partition, n int64) {
	if part := t.part(p); part != nil {
		part.Add(n)
		t.total.Add(n)
	}
}

// set replaces what was counted of a partition.
func (t *tally) set(p store.Partition, n int) {
	if part := t.part(p); part != nil {
		t.total.Add(int64(n) - part.Swap(int64(n)))
	}
}

func (t *tally) part(p store.Partition) *atomic.Int64 {
	n, err := strconv.ParseUint(string(p), 16, 64)
	if err != nil || n >= uint64(len(t.parts)) {
		return nil
	}
	return &t.parts[n]
}

// recount counts in the background what nobody sweeps: an outbox without a
// transport is not started, and would stay full when its messages have expired.
func (o *Outbox) recount() {
	if o.term.Load() != nil || !o.counting.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer o.counting.Store(false)
		for n := range sealed.Partitions {
			p, count := sealed.PartitionName(n), 0
			err := verification.OutboxKind.Scan(o.quit, o.cfg.Store, p, func(string, []byte) (bool, error) {
				count++
				return true, nil
			})
			if err != nil {
				o.trouble(err)
				return
			}
			o.tally.set(p, count)
		}
	}()
}
