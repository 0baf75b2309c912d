// SPDX-License-Identifier: Apache-2.0

package smsfraud

import "time"

// counter is what was spent in one scope.
type counter struct {
	Kind kind     `cbor:"1,keyasint"`
	Of   string   `cbor:"2,keyasint,omitempty"`
	Hour []bucket `cbor:"3,keyasint,omitempty"`
	Day  []bucket `cbor:"4,keyasint,omitempty"`
}

func (c *counter) scope() scope { return scope{c.Kind, c.Of} }

func (c *counter) tidy(now time.Time) bool {
	var hour, day bool
	c.Hour, hour = hourSpan.tidy(c.Hour, now)
	c.Day, day = daySpan.tidy(c.Day, now)
	return hour || day
}

func (c *counter) expires() time.Time {
	if len(c.Day) == 0 {
		return time.Time{}
	}
	return daySpan.gone(c.Day[len(c.Day)-1].Index)
}

// add counts one message.
func (c *counter) add(cost Money, now time.Time) {
	c.Hour = hourSpan.add(c.Hour, bucket{hourSpan.index(now), 1, int64(cost)})
	c.Day = daySpan.add(c.Day, bucket{daySpan.index(now), 1, int64(cost)})
}

// take gives one message back that was counted at a time.
func (c *counter) take(cost Money, at, now time.Time) {
	c.Hour = hourSpan.take(c.Hour, bucket{hourSpan.index(at), 1, int64(cost)}, now)
	c.Day = daySpan.take(c.Day, bucket{daySpan.index(at), 1, int64(cost)}, now)
}

// window is what a budget looks at.
func (c *counter) window(per Window) (span, []bucket) {
	if per == Day {
		return daySpan, c.Day
	}
	return hourSpan, c.Hour
}

func (c *counter) used(b Budget) (n int64) {
	_, list := c.window(b.Per)
	for _, x := range list {
		n = plus(n, x.of(b.Unit))
	}
	return n
}

// wait is how long it takes until a budget has room for one more message: zero
// if it has. What costs more than the whole budget is told to wait for as long
// as a budget lasts; there is no true answer.
func (c *counter) wait(b Budget, cost Money, now time.Time) time.Duration {
	more := int64(1)
	if b.Unit == Amount {
		more = int64(cost)
	}
	used := c.used(b)
	if used <= b.Limit-more {
		return 0
	}
	sp, list := c.window(b.Per)
	for _, x := range list {
		if used -= x.of(b.Unit); used <= b.Limit-more {
			return sp.gone(x.Index).Sub(now)
		}
	}
	return time.Duration(sp.n) * sp.size
}
