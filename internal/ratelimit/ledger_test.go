// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"fmt"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	l := NewLedger()
	note := func(kind Kind, network Network, subject string, at time.Duration) {
		l.Note(Entry{Limit: kind, Network: network, Subject: subject, Last: noon.Add(at), Until: noon.Add(at + time.Minute)})
	}
	note("client", "a", "x", 0)
	note("client", "a", "x", time.Second)
	note("client", "b", "x", time.Second)
	note("address", "a", "x", time.Second)
	note("client", "a", "y", time.Second)
	got := l.Entries(noon.Add(time.Minute))
	if len(got) != 4 || got[0].Count != 2 || !got[0].Since.Equal(noon) || !got[0].Last.Equal(noon.Add(time.Second)) {
		t.Errorf("got %+v, want four, the one that was refused twice first", got)
	}
	if got := l.Entries(noon.Add(2 * time.Hour)); len(got) != 0 {
		t.Errorf("two hours later: got %+v, want none", got)
	}
	note("client", "a", "x", 3*time.Hour)
	if got := l.Entries(noon.Add(3 * time.Hour)); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("got %+v, want it anew", got)
	}
}

// TestLedgerIsBounded, and keeps who was refused last.
func TestLedgerIsBounded(t *testing.T) {
	l := NewLedger()
	for i := range 5 * mostEntries {
		l.Note(Entry{Limit: "client", Network: Network(fmt.Sprint(i)), Last: noon.Add(time.Duration(i)), Until: noon.Add(time.Hour)})
	}
	list := l.Entries(noon)
	if len(list) != mostEntries {
		t.Fatalf("got %d, want %d", len(list), mostEntries)
	}
	newest := 0
	for _, e := range list {
		if e.Last.After(noon.Add(3 * mostEntries)) {
			newest++
		}
	}
	if newest < mostEntries*3/4 {
		t.Errorf("%d of %d are new, want most", newest, len(list))
	}
}
