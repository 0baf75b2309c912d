// SPDX-License-Identifier: Apache-2.0

package ratelimit

import "time"

// Limit is a rate limit: Burst requests at once, refilled evenly over Per. The
// zero Limit is off.
type Limit struct {
	Burst int
	Per   time.Duration
}

// Off reports whether nothing is limited.
func (l Limit) Off() bool { return l.Burst <= 0 || l.Per <= 0 }

// Cost is what one request costs that has a share of what is refilled for one: 1/1 for
// all but those that send nothing.
func (l Limit) Cost(share int) time.Duration {
	return l.Per / time.Duration(l.Burst) / time.Duration(share)
}

// hit is the generic cell rate algorithm (ITU-T I.371): one timestamp, the
// theoretical arrival time (tat), is all the state there is. It returns the
// new tat, or how long to wait. What is kept for others, in percent of the burst, is
// never taken, but for one request.
func (l Limit) hit(tat, now time.Time, share, kept int) (next time.Time, wait time.Duration) {
	tat = l.within(tat, now)
	next = tat.Add(l.Cost(share))
	if wait := next.Sub(now) - l.room(kept); wait > 0 {
		return tat, wait
	}
	return next, 0
}

// room is how far a tat may be ahead where a part is kept for others.
func (l Limit) room(kept int) time.Duration {
	return max(l.Per/100*time.Duration(100-kept), l.Cost(1))
}

// within bounds a tat by what the limit itself can bring it to. Others are
// there when the clock was set back, or the limit was made smaller: nobody
// must be locked out for longer than Per.
func (l Limit) within(tat, now time.Time) time.Time {
	if tat.Before(now) {
		return now
	}
	if latest := now.Add(l.Per); tat.After(latest) {
		return latest
	}
	return tat
}
