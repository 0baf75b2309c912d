// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"container/heap"
	"time"
)

// timeline is what is going to happen. The clock is that of the bubble that it is used
// in: it goes on while the timeline sleeps, and while a request waits.
type timeline struct {
	events events
	added  int
}

type event struct {
	at    time.Time
	order int // of those at the same time
	do    func()
}

// at has something done at a time, or at once if that has passed.
func (l *timeline) at(t time.Time, do func()) {
	l.added++
	heap.Push(&l.events, event{t, l.added, do})
}

// in has something done later.
func (l *timeline) in(d time.Duration, do func()) { l.at(time.Now().Add(d), do) }

// run does everything that is to be done before the end, for as long as there is a reason
// to. Between is called before each.
func (l *timeline) run(end time.Time, reason func() bool, between func()) {
	for len(l.events) > 0 && l.events[0].at.Before(end) && reason() {
		next, _ := heap.Pop(&l.events).(event)
		time.Sleep(time.Until(next.at))
		between()
		next.do()
	}
}

// events implement heap.Interface.
type events []event

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].order < e[j].order
	}
	return e[i].at.Before(e[j].at)
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e *events) Push(x any) { *e = append(*e, x.(event)) }

func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
