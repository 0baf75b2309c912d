// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// day is how long the limits of numbers and clients look back.
const day = 24 * time.Hour

// numberRecord is what was sent to one number within a day.
type numberRecord struct {
	Sends []send `cbor:"1,keyasint,omitempty"`
}

// send is one message. The client is there to know, when the message is given
// back, whether it has asked for others; the network, when its code comes back or
// another call of a gateway is paid for.
type send struct {
	At      int64           `cbor:"1,keyasint"` // Unix nanoseconds
	ID      uint64          `cbor:"2,keyasint"`
	Client  string          `cbor:"3,keyasint,omitempty"` // its name
	Network string          `cbor:"4,keyasint,omitempty"` // its name
	Class   ratelimit.Class `cbor:"5,keyasint,omitempty"`
	Back    bool            `cbor:"6,keyasint,omitempty"` // its code has come back
}

func (n *numberRecord) tidy(now time.Time) (mended bool) {
	past := now.Add(-day).UnixNano()
	n.Sends = slices.DeleteFunc(n.Sends, func(s send) bool { return s.At <= past })
	for i := range n.Sends {
		at, moved := mend(n.Sends[i].At, now)
		n.Sends[i].At = at
		mended = mended || moved
	}
	slices.SortStableFunc(n.Sends, func(a, b send) int { return cmp.Compare(a.At, b.At) })
	return mended
}

func (n *numberRecord) expires() time.Time {
	if len(n.Sends) == 0 {
		return time.Time{}
	}
	return time.Unix(0, n.Sends[len(n.Sends)-1].At).Add(day)
}

// full is how long the number must wait because it has had its messages of a
// day.
func (n *numberRecord) full(limit int, now time.Time) time.Duration {
	over := len(n.Sends) + 1 - limit
	if over <= 0 {
		return 0
	}
	return time.Unix(0, n.Sends[over-1].At).Add(day).Sub(now)
}

// early is how long the number must wait because it has just had one. The more
// it has had, the longer; but while it waits, some of them may be forgotten.
func (n *numberRecord) early(backoff []time.Duration, now time.Time) time.Duration {
	sent := len(n.Sends)
	if sent == 0 || len(backoff) == 0 {
		return 0
	}
	last := time.Unix(0, n.Sends[sent-1].At)
	for i, s := range n.Sends {
		end := last.Add(backoff[min(sent-i, len(backoff))-1])
		if forgotten := time.Unix(0, s.At).Add(day); end.After(forgotten) {
			continue // by then it has had one less
		}
		if i > 0 {
			end = later(end, time.Unix(0, n.Sends[i-1].At).Add(day))
		}
		return max(0, end.Sub(now))
	}
	return max(0, last.Add(day).Sub(now))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// take removes a message and reports whether it was there.
func (n *numberRecord) take(id uint64) bool {
	before := len(n.Sends)
	n.Sends = slices.DeleteFunc(n.Sends, func(s send) bool { return s.ID == id })
	return len(n.Sends) < before
}

// last is the newest message, or nil.
func (n *numberRecord) last() *send {
	if len(n.Sends) == 0 {
		return nil
	}
	return &n.Sends[len(n.Sends)-1]
}

// awaited is the message whose code has come back from a network: the newest that was
// asked for from there, or the newest at all; nil if all have.
func (n *numberRecord) awaited(network []string) (found *send) {
	for i := range n.Sends {
		s := &n.Sends[i]
		here := slices.Contains(network, s.Network)
		if !s.Back && (here || found == nil || !slices.Contains(network, found.Network)) {
			found = s
		}
	}
	return found
}

// lastBy is when a client has last sent to the number, or zero.
func (n *numberRecord) lastBy(client []string) (at int64) {
	for _, s := range n.Sends {
		if slices.Contains(client, s.Client) {
			at = s.At // they are sorted
		}
	}
	return at
}
