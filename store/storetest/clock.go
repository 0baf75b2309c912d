// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"sync"
	"time"
)

// Clock stands still until it is moved. The zero value is a clock as well.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that says now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, forwards or back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
