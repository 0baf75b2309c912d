// SPDX-License-Identifier: Apache-2.0

package siege

import "time"

// scale is how long a siege is, and how many people live through it.
type scale struct {
	// before is how long the attack has gone on when the first honest person comes, and
	// day how long they come.
	before, day time.Duration
	// resets, adds, phones and newcomers are how many honest people there are of each
	// kind, and owners how many of the first two somebody wants locked out.
	resets, adds, phones, newcomers, owners int
	// rate is how many requests an attacker in a hurry makes in a second.
	rate float64
	// probes is the time between two pairs of requests of who enumerates.
	probes time.Duration
}

// patience is how long a person waits for a mail from the first try on.
const patience = time.Hour

// The two scales. In the short one honest people come seven times as close together,
// which makes it no easier for them, and attackers make an eighth of the requests: still
// hundreds for each message that there is to be had.
var (
	short = scale{
		before: 5 * time.Minute, day: 40 * time.Minute,
		resets: 40, adds: 12, phones: 6, newcomers: 10, owners: 24, rate: 6, probes: 20 * time.Second,
	}
	whole = scale{
		before: time.Hour, day: 24 * time.Hour,
		resets: 160, adds: 40, phones: 20, newcomers: 50, owners: 80, rate: 50, probes: 2 * time.Minute,
	}
)

// length is until the last of them has lost their patience.
func (s scale) length() time.Duration { return s.before + s.day + patience }
