// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// ref is a message that may be due.
type ref struct {
	partition store.Partition
	key       string
}

// queue is a bounded queue that holds nothing twice. Without that, every sweep
// would add once more what is waiting for a slow relay.
type queue struct {
	refs chan ref

	mu    sync.Mutex
	known map[ref]struct{}
}

func newQueue(length int) *queue {
	return &queue{refs: make(chan ref, length), known: make(map[ref]struct{})}
}

// offer adds a ref if there is room.
func (q *queue) offer(r ref) {
	if !q.add(r) {
		return
	}
	select {
	case q.refs <- r:
	default:
		q.forget(r)
	}
}

// push adds a ref, and waits for room until ctx ends.
func (q *queue) push(ctx context.Context, r ref) {
	if !q.add(r) {
		return
	}
	select {
	case q.refs <- r:
	case <-ctx.Done():
		q.forget(r)
	}
}

// take waits for a ref until ctx ends. A context that has ended goes before
// whatever is queued.
func (q *queue) take(ctx context.Context) (ref, bool) {
	if ctx.Err() != nil {
		return ref{}, false
	}
	select {
	case <-ctx.Done():
		return ref{}, false
	case r := <-q.refs:
		q.forget(r)
		return r, true
	}
}

func (q *queue) add(r ref) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, dup := q.known[r]; dup {
		return false
	}
	q.known[r] = struct{}{}
	return true
}

func (q *queue) forget(r ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.known, r)
}
