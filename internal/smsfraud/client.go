// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"cmp"
	"slices"
	"time"
)

// clientRecord is which numbers one client has reached within a day.
type clientRecord struct {
	Uses []use `cbor:"1,keyasint,omitempty"`
}

// use is one number; it is kept by its name, that is, its hash.
type use struct {
	Number string `cbor:"1,keyasint"`
	Region string `cbor:"2,keyasint"`
	Last   int64  `cbor:"3,keyasint"` // Unix nanoseconds
}

// maxUses bounds a record. Only where numbers are not limited can there be more.
const maxUses = 1000

func (c *clientRecord) tidy(now time.Time) (mended bool) {
	past := now.Add(-day).UnixNano()
	c.Uses = slices.DeleteFunc(c.Uses, func(u use) bool { return u.Last <= past })
	for i := range c.Uses {
		at, moved := mend(c.Uses[i].Last, now)
		c.Uses[i].Last = at
		mended = mended || moved
	}
	c.sort()
	return mended
}

func (c *clientRecord) sort() {
	slices.SortStableFunc(c.Uses, func(a, b use) int { return cmp.Compare(a.Last, b.Last) })
}

func (c *clientRecord) expires() time.Time {
	if len(c.Uses) == 0 {
		return time.Time{}
	}
	return time.Unix(0, c.Uses[len(c.Uses)-1].Last).Add(day)
}

// find returns where a number is, by whichever of its names.
func (c *clientRecord) find(number []string) int {
	return slices.IndexFunc(c.Uses, func(u use) bool { return slices.Contains(number, u.Number) })
}

// numbersWait is how long the client must wait until it may reach this number.
func (c *clientRecord) numbersWait(limit int, number []string, now time.Time) time.Duration {
	if limit < 0 || c.find(number) >= 0 {
		return 0
	}
	lasts := make([]int64, len(c.Uses))
	for i, u := range c.Uses {
		lasts[i] = u.Last
	}
	return room(limit, lasts, now)
}

// countriesWait is how long the client must wait until it may reach a number of
// this region.
func (c *clientRecord) countriesWait(limit int, region string, now time.Time) time.Duration {
	if limit < 0 {
		return 0
	}
	last := map[string]int64{}
	for _, u := range c.Uses {
		last[u.Region] = u.Last // they are sorted
	}
	if _, known := last[region]; known {
		return 0
	}
	lasts := make([]int64, 0, len(last))
	for _, at := range last {
		lasts = append(lasts, at)
	}
	slices.Sort(lasts)
	return room(limit, lasts, now)
}

// room is how long it takes until there is room for one more, of things that are
// forgotten a day after their last use.
func room(limit int, lasts []int64, now time.Time) time.Duration {
	over := len(lasts) + 1 - limit
	if over <= 0 {
		return 0
	}
	return time.Unix(0, lasts[over-1]).Add(day).Sub(now)
}

// add notes that a number was reached.
func (c *clientRecord) add(number []string, region string, now time.Time) {
	u := use{Number: number[0], Region: region, Last: now.UnixNano()}
	if i := c.find(number); i >= 0 {
		u.Last = max(u.Last, c.Uses[i].Last) // a clock that is a little behind
		c.Uses[i] = u
	} else {
		c.Uses = append(c.Uses, u)
	}
	c.sort()
	c.trim()
}

// trim drops the oldest numbers that are not needed to know their country.
func (c *clientRecord) trim() {
	if len(c.Uses) <= maxUses {
		return
	}
	newest := map[string]int{}
	for i, u := range c.Uses {
		newest[u.Region] = i
	}
	drop, i := len(c.Uses)-maxUses, -1
	c.Uses = slices.DeleteFunc(c.Uses, func(u use) bool {
		i++
		if drop == 0 || newest[u.Region] == i {
			return false
		}
		drop--
		return true
	})
}

// take sets the last use of a number back; zero means that there is none left.
func (c *clientRecord) take(number []string, last int64) {
	i := c.find(number)
	switch {
	case i < 0:
	case last == 0:
		c.Uses = slices.Delete(c.Uses, i, i+1)
	default:
		c.Uses[i].Last = last
		c.sort()
	}
}
