// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"slices"
	"time"
)

// bucket holds two sums of one stretch of time: messages and money, or codes
// that were sent and that came back.
type bucket struct {
	Index  int64 `cbor:"1,keyasint"`
	First  int64 `cbor:"2,keyasint,omitempty"`
	Second int64 `cbor:"3,keyasint,omitempty"`
}

// of is the sum of a budget's unit.
func (b bucket) of(u Unit) int64 {
	if u == Amount {
		return b.Second
	}
	return b.First
}

// span is a sliding window: n buckets of a size, and the one that has begun.
// All n+1 are counted, so every window of n × size that ends now is covered.
type span struct {
	size time.Duration
	n    int64
}

var (
	hourSpan = span{5 * time.Minute, 12}
	daySpan  = span{time.Hour, 24}
)

// index is the bucket of a time. It is rounded down, in the years before 1970
// too, which is where a machine without a battery begins.
func (s span) index(t time.Time) int64 {
	ns, size := t.UnixNano(), int64(s.size)
	i := ns / size
	if ns%size < 0 {
		i--
	}
	return i
}

// start is when a bucket begins.
func (s span) start(index int64) time.Time { return time.Unix(0, index*int64(s.size)) }

// gone is when a bucket is no longer counted.
func (s span) gone(index int64) time.Time { return s.start(index + s.n + 1) }

// tidy drops the buckets that are past. One that lies in the future is from
// before the clock was set back: it is taken for the present, and tidy reports
// that. The next bucket is left alone, for the clocks of two machines are never
// quite the same.
func (s span) tidy(list []bucket, now time.Time) (tidied []bucket, mended bool) {
	at := s.index(now)
	for _, b := range list {
		if b.Index < at-s.n {
			continue
		}
		if b.Index > at+1 {
			b.Index, mended = at, true
		}
		tidied = s.add(tidied, b)
	}
	return tidied, mended
}

// add adds to the bucket of the same index; list is sorted and stays so.
func (s span) add(list []bucket, b bucket) []bucket {
	i := len(list)
	for i > 0 && list[i-1].Index >= b.Index {
		i--
	}
	if i < len(list) && list[i].Index == b.Index {
		list[i].First = plus(list[i].First, b.First)
		list[i].Second = plus(list[i].Second, b.Second)
		return list
	}
	return slices.Insert(list, i, b)
}

// take undoes add, as far as there is something left. It may have been brought
// to the present since, by tidy.
func (s span) take(list []bucket, b bucket, now time.Time) []bucket {
	if at := s.index(now); b.Index > at+1 {
		b.Index = at
	}
	i := slices.IndexFunc(list, func(x bucket) bool { return x.Index == b.Index })
	if i < 0 {
		return list
	}
	list[i].First = max(0, list[i].First-b.First)
	list[i].Second = max(0, list[i].Second-b.Second)
	if list[i].First == 0 && list[i].Second == 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// sum adds up all buckets.
func sum(list []bucket) (first, second int64) {
	for _, b := range list {
		first, second = plus(first, b.First), plus(second, b.Second)
	}
	return first, second
}

// skew is by how much a date may lie in the future before it is taken for one
// from before the clock was set back.
const skew = 5 * time.Minute

// mend returns the present for a date that lies in the future.
func mend(at int64, now time.Time) (int64, bool) {
	if at > now.Add(skew).UnixNano() {
		return now.UnixNano(), true
	}
	return at, false
}
