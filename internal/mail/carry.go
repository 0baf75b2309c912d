// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// seenFor is how long it is believed that a relay has not an extension. Every
	// new connection shows it anew.
	seenFor = 24 * time.Hour
	// askTime is how long somebody waits for a relay to show what it has, and
	// askPause how often at most one is asked that does not.
	askTime, askPause = 5 * time.Second, time.Minute
)

// features is what a relay was last seen to offer.
type features struct {
	asking  sync.Mutex // held by who asks, so that others wait for the one answer
	askedAt time.Time

	mu     sync.Mutex
	lacks  bool // SMTPUTF8
	seenAt time.Time
}

func (f *features) note(c *smtp.Client) {
	has, _ := c.Extension("SMTPUTF8")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lacks, f.seenAt = !has, time.Now()
}

// missing reports whether a relay was seen to lack SMTPUTF8, and whether it was
// seen at all.
func (f *features) missing() (lacks, seen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen = time.Since(f.seenAt) < seenFor
	return f.lacks && seen, seen
}

// CannotCarry reports that the relay does not take mail for an address, whoever
// that is: one with other letters than ASCII before the "@" needs SMTPUTF8 (RFC
// 6531). A relay that has not been seen is asked. If it does not answer soon, it
// may be able to, and a message for it waits like every other.
func (s *SMTP) CannotCarry(ctx context.Context, to string) bool {
	if ascii(to) {
		return false
	}
	s.seen.asking.Lock()
	defer s.seen.asking.Unlock()
	if _, seen := s.seen.missing(); !seen && time.Since(s.seen.askedAt) > askPause {
		s.seen.askedAt = time.Now()
		s.greetOnly(ctx)
	}
	lacks, _ := s.seen.missing()
	return lacks
}

// greetOnly has the relay show what it offers. Whoever is waiting for it may go
// away, and the next one profits.
func (s *SMTP) greetOnly(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if c, failed := s.connect(ctx, nil); failed == nil {
		c.quit()
	}
}

// CannotCarry reports that none of the relays takes mail for an address.
func (r *Relays) CannotCarry(ctx context.Context, to string) bool {
	for _, one := range r.relays {
		c, ok := one.Via.(interface {
			CannotCarry(ctx context.Context, to string) bool
		})
		if !ok || !c.CannotCarry(ctx, to) {
			return false
		}
	}
	return true
}
