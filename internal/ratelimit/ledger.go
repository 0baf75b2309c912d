// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Entry is somebody who was refused of late, for whoever runs the server: networks stand
// in it as they are, as in an access log, and mailboxes as pseudonyms.
type Entry struct {
	Limit   Kind
	Class   Class
	Network Network
	Subject string
	// Since is the first refusal of these, Last the newest, and Until is when they may
	// ask again.
	Since, Last, Until time.Time
	Count              int
}

// Ledger remembers who was refused. It is not stored, and takes a bounded place: who was
// refused long ago is forgotten first.
type Ledger struct {
	mu   sync.Mutex
	list map[subject]*Entry
}

type subject struct {
	kind    Kind
	network Network
	subject string
}

// mostEntries bounds it; what is over for an hour is of no interest either.
const (
	mostEntries = 1000
	keptEntry   = time.Hour
)

// NewLedger returns an empty one.
func NewLedger() *Ledger { return &Ledger{list: map[subject]*Entry{}} }

// Note adds a refusal.
func (l *Ledger) Note(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := subject{e.Limit, e.Network, e.Subject}
	if had := l.list[key]; had != nil && e.Last.Sub(had.Until) < keptEntry {
		had.Last, had.Until, had.Class = e.Last, e.Until, e.Class
		had.Count++
		return
	}
	if len(l.list) >= mostEntries {
		l.forget()
	}
	e.Since, e.Count = e.Last, 1
	l.list[key] = &e
}

// forget makes room: of some entries that come as they come, the one that was refused
// longest ago goes. Under a flood this is called for each request.
func (l *Ledger) forget() {
	var oldest subject
	seen := 0
	for key, e := range l.list {
		if seen == 0 || e.Last.Before(l.list[oldest].Last) {
			oldest = key
		}
		if seen++; seen == 8 {
			break
		}
	}
	delete(l.list, oldest)
}

// Entries are those whose refusal is not over for an hour, who were refused most often
// first.
func (l *Ledger) Entries(now time.Time) (list []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if now.Sub(e.Until) < keptEntry {
			list = append(list, *e)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Since.Compare(b.Since), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Network, b.Network))
	})
	return list
}
