// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// seenFor is how long it is believed that a relay has not an extension. Every
// new connection shows it anew.
const seenFor = 24 * time.Hour

// features is what a relay was last seen to offer.
type features struct {
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

// CannotCarry reports that the relay is known not to take mail for an address,
// whoever that is: one with other letters than ASCII before the "@" needs
// SMTPUTF8 (RFC 6531). It asks nobody; what is not known is not said.
func (s *SMTP) CannotCarry(to string) bool {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	return !ascii(to) && s.seen.lacks && time.Since(s.seen.seenAt) < seenFor
}

// CannotCarry reports that none of the relays takes mail for an address.
func (r *Relays) CannotCarry(to string) bool {
	for _, one := range r.relays {
		c, ok := one.Transport.(interface{ CannotCarry(to string) bool })
		if !ok || !c.CannotCarry(to) {
			return false
		}
	}
	return true
}
