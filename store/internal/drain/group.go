// SPDX-License-Identifier: Apache-2.0

// Package drain counts the operations in progress on something that can be
// closed, so that closing waits for them and whatever comes later is refused.
package drain

import "sync"

// Group admits operations until it is closed. The zero value is open.
//
// It is not a read-write lock held for the length of an operation: there, an
// operation that starts another one (a scan that updates what it finds) would
// wait for the closer, which waits for the operation.
type Group struct {
	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup
}

// Enter reports whether the operation may start. If it may, the caller must
// call Leave when it has ended.
func (g *Group) Enter() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return false
	}
	g.running.Add(1)
	return true
}

// Leave ends an operation admitted by Enter.
func (g *Group) Leave() { g.running.Done() }

// Close refuses operations from now on and waits for those that are running.
// It may be called more than once.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
}
