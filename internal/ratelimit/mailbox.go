// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"slices"
	"time"
)

// Day is how long a mailbox's messages are counted.
const Day = 24 * time.Hour

// Mailboxes is how many messages one mailbox may be sent. The zero value is no limit.
type Mailboxes struct {
	// Pauses are what one network has to wait before its second message, its third,
	// and so on; the last holds for all that follow.
	Pauses []time.Duration
	// Network is the most that one network may ask for in 24 hours, and Strangers the
	// most for all networks that the owner is not known by.
	Network, Strangers int
	// Spare is how often one more may be asked for by a network that has had none and
	// of which little else was heard of late: else strangers could use up all.
	Spare time.Duration
}

// Off reports whether mailboxes are not limited.
func (p Mailboxes) Off() bool { return p.Network <= 0 }

// Letter is a message that was asked for.
type Letter struct {
	_ struct{} `cbor:",toarray"`
	// At is when, in Unix milliseconds.
	At int64
	// By is which network has asked, as a part of a keyed hash.
	By uint64
	// As is as whose it counts.
	As As
}

// As says as whose a letter counts. It is stored: do not change the numbers.
type As uint8

// The readings.
const (
	// Stranger is who asks from where the mailbox was never proven.
	Stranger As = iota
	// Known is the owner, as far as one can tell.
	Known
	// Spared is a stranger who had the letter that is kept for those who had none.
	Spared
)

// Letters are those of one mailbox within a day, the oldest first.
type Letters struct {
	List []Letter `cbor:"1,keyasint,omitempty"`
	// Closed are networks from which the owner wants no more.
	Closed []Closed `cbor:"2,keyasint,omitempty"`
}

// Closed is a network, and until when, in Unix milliseconds.
type Closed struct {
	_     struct{} `cbor:",toarray"`
	By    uint64
	Until int64
}

// mostClosed bounds how many networks are remembered; the newest are.
const mostClosed = 64

// Refuse lets a network ask for no more until then.
func (l *Letters) Refuse(by uint64, until time.Time) {
	l.Closed = append(l.Closed, Closed{By: by, Until: until.UnixMilli()})
	l.Closed = l.Closed[max(0, len(l.Closed)-mostClosed):]
}

// Refused is for how long the owner wants nothing that is asked for from a network.
func (l *Letters) Refused(by []uint64, now time.Time) (longest time.Duration) {
	for _, c := range l.Closed {
		if slices.Contains(by, c.By) {
			longest = max(longest, time.UnixMilli(c.Until).Sub(now))
		}
	}
	return longest
}

// Asker is who asks for a letter.
type Asker struct {
	// By is their network, by every key, the one in use first. There is one also where
	// nobody knows it.
	By []uint64
	// Known says that the owner is known by it, and LoggedIn that they have an account.
	Known, LoggedIn bool
	// Again says that they go on with a session that is open: its second letter may be
	// asked for at once.
	Again bool
	// Reset says that they ask for a reset, and Cold that little was heard of their
	// network of late: then they may have the one that is spared.
	Reset, Cold bool
}

func (a Asker) is(l Letter) bool { return slices.Contains(a.By, l.By) }

// own reports whether a letter is one that they have to wait after: for the owner their
// own, wherever they were; what a neighbour asks for is none of these.
func (a Asker) own(l Letter) bool {
	if a.Known {
		return l.As == Known
	}
	return a.is(l)
}

// tidy forgets what is older than a day. What lies in the future, because the clock was
// set back, is brought to the present.
func (l *Letters) tidy(now time.Time) {
	l.List = slices.DeleteFunc(l.List, func(x Letter) bool { return x.At <= now.Add(-Day).UnixMilli() })
	l.Closed = slices.DeleteFunc(l.Closed, func(c Closed) bool { return c.Until <= now.UnixMilli() })
	for i := range l.List {
		l.List[i].At = min(l.List[i].At, now.UnixMilli())
	}
}

// Wait is how long whoever asks has to wait for one more, and whether that is only a
// pause between two of their own.
func (l *Letters) Wait(p Mailboxes, who Asker, now time.Time) (wait time.Duration, pause bool) {
	l.tidy(now)
	own := l.of(who.own)
	pausing := p.pause(own, who, now)
	wait = max(pausing, most(own, p.Network, now))
	if who.Known || wait > 0 {
		return wait, wait == pausing
	}
	full := l.full(p, who, now)
	if full == 0 || !who.Reset || p.Spare <= 0 || len(own) > 0 {
		return full, false
	}
	return min(full, l.spare(p, who, now)), false
}

// full is how long it takes until strangers may ask for one more. The last one of a day
// is for who is logged in: whoever adds a mailbox is a stranger to it.
func (l *Letters) full(p Mailboxes, who Asker, now time.Time) time.Duration {
	n := p.Strangers
	if !who.LoggedIn && n > 1 {
		n--
	}
	return most(l.of(func(x Letter) bool { return x.As == Stranger }), n, now)
}

// spare is how long to wait for the letter that is kept for who has had none.
func (l *Letters) spare(p Mailboxes, who Asker, now time.Time) time.Duration {
	last := l.of(func(x Letter) bool { return x.As == Spared })
	switch {
	case len(last) > 0 && until(last[len(last)-1], p.Spare, now) > 0:
		return until(last[len(last)-1], p.Spare, now)
	case !who.Cold:
		return p.Spare
	}
	return 0
}

// Strangers is how many letters strangers have asked for, and how long it takes until
// they may ask for one more.
func (l *Letters) Strangers(p Mailboxes, now time.Time) (n int, wait time.Duration) {
	l.tidy(now)
	return len(l.of(func(x Letter) bool { return x.As == Stranger })), l.full(p, Asker{}, now)
}

// of are the times of some letters.
func (l *Letters) of(which func(Letter) bool) (times []int64) {
	for _, x := range l.List {
		if which(x) {
			times = append(times, x.At)
		}
	}
	return times
}

// pause is how long to wait after one's own last letter.
func (p Mailboxes) pause(own []int64, who Asker, now time.Time) time.Duration {
	n := len(own)
	if who.Again {
		n-- // a second letter of one session is no more than what was asked for
	}
	if n <= 0 || len(p.Pauses) == 0 {
		return 0
	}
	return max(0, until(own[len(own)-1], p.Pauses[min(n, len(p.Pauses))-1], now))
}

// most is how long it takes until there are fewer than so many within a day.
func most(times []int64, n int, now time.Time) time.Duration {
	if len(times) < n {
		return 0
	}
	return max(0, until(times[len(times)-n], Day, now))
}

func until(at int64, d time.Duration, now time.Time) time.Duration {
	return time.UnixMilli(at).Add(d).Sub(now)
}

// Add notes one that is asked for, and did not have to wait.
func (l *Letters) Add(p Mailboxes, who Asker, now time.Time) {
	as := Stranger
	switch {
	case who.Known:
		as = Known
	case l.full(p, who, now) > 0:
		as = Spared
	}
	l.List = append(l.List, Letter{At: now.UnixMilli(), By: who.By[0], As: as})
}

// Back takes the newest of theirs back: it was not asked for after all.
func (l *Letters) Back(who Asker) {
	for i, x := range slices.Backward(l.List) {
		if who.is(x) {
			l.List = slices.Delete(l.List, i, i+1)
			return
		}
	}
}

// Used takes all of theirs back: who has used one has wanted them.
func (l *Letters) Used(who Asker) {
	l.List = slices.DeleteFunc(l.List, who.is)
}

// Expires is when nothing of it matters any more.
func (l *Letters) Expires() time.Time {
	var last int64
	for _, x := range l.List {
		last = max(last, x.At+Day.Milliseconds())
	}
	for _, c := range l.Closed {
		last = max(last, c.Until)
	}
	if last == 0 {
		return time.Time{}
	}
	return time.UnixMilli(last)
}
