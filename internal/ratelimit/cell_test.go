// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// entries are the ones of this test.
var entries = sealed.Declare("cells", "x/", sealed.Together, sealed.Unsealed, sealed.Kept, sealed.Never("there is no address in a test"))

// desk takes requests against one budget.
type desk struct {
	table Table
	store store.Store
	limit Limit
	now   time.Time
}

func newDesk(burst int) *desk {
	d := &desk{limit: Limit{Burst: burst, Per: time.Hour}, now: noon}
	d.restart()
	d.store = storetest.NewMemory(func() time.Time { return d.now })
	return d
}

// restart forgets what is not in the store.
func (d *desk) restart() {
	d.table = Table{Entries: entries, Heat: NewHeat(), Now: func() time.Time { return d.now }}
}

func (d *desk) cell(c Class) Cell {
	return Cell{Limit: d.limit, Kind: "messages", Names: []string{"budget"}, Share: 1, Kept: c.Kept(), Fair: true}
}

// ask is how long a request has to wait, or zero if it was taken.
func (d *desk) ask(c Class, by ...Network) time.Duration {
	var refused *Refusal
	err := d.store.Update(context.Background(), entries.Partition(""), func(txn store.Txn) (err error) {
		refused, err = d.table.Charge(txn, by, []Cell{d.cell(c)})
		return err
	})
	if err != nil {
		panic(err)
	}
	if refused != nil {
		d.table.Heat.Refused(wide(by), d.now)
		return refused.Wait
	}
	d.table.Heat.Add(wide(by), d.now)
	return 0
}

func wide(by []Network) Network {
	if len(by) == 0 {
		return ""
	}
	return by[len(by)-1]
}

// TestClassesKeepTheirPart: whatever the classes below have taken.
func TestClassesKeepTheirPart(t *testing.T) {
	for _, c := range []struct {
		class Class
		most  int
	}{{Explained, 25}, {Newcomer, 50}, {Begun, 75}, {Owner, 100}} {
		d := newDesk(100)
		taken := 0
		for d.ask(c.class) == 0 {
			taken++
		}
		if taken != c.most {
			t.Errorf("%s: got %d of 100, want %d", c.class, taken, c.most)
		}
		for _, above := range Classes[:c.class] {
			if got := d.ask(above); got != 0 {
				t.Errorf("%s has to wait %v when %s had theirs", above, got, c.class)
			}
		}
		for _, below := range Classes[c.class:] {
			if d.ask(below) == 0 {
				t.Errorf("%s gets more when %s had theirs", below, c.class)
			}
		}
	}
}

// TestTheLastPlacesGoToThoseWhoHadNone, and not to those who ask most often.
func TestTheLastPlacesGoToThoseWhoHadNone(t *testing.T) {
	d := newDesk(100)
	greedy := 0
	for range 1000 {
		if d.ask(Newcomer, "a", "wide a") == 0 {
			greedy++
		}
	}
	if greedy < 25 || greedy >= 50 {
		t.Errorf("one network gets %d of 50, want half of it and something more, not all", greedy)
	}
	fresh := 0
	for n := range 100 {
		if d.ask(Newcomer, Network(fmt.Sprint(n)), Network(fmt.Sprint("wide ", n))) == 0 {
			fresh++
		}
	}
	if fresh != 50-greedy {
		t.Errorf("others get %d, want all %d that are left", fresh, 50-greedy)
	}
	// Each place that becomes free, too: it is not for who is there first.
	for n := range 20 {
		d.now = d.now.Add(d.limit.Cost(1))
		if d.ask(Newcomer, "a", "wide a") == 0 {
			t.Fatal("who hammers gets the place that became free")
		}
		if d.ask(Newcomer, Network(fmt.Sprint("b", n)), Network(fmt.Sprint("wide b", n))) != 0 {
			t.Fatal("who had none does not get it")
		}
	}
}

// TestRefusedCountsNowhere: neither in the cells that would have had room.
func TestRefusedCountsNowhere(t *testing.T) {
	d := newDesk(1)
	full, room := d.cell(Owner), d.cell(Owner)
	room.Names, room.Limit.Burst = []string{"room"}, 5
	look := room
	look.DryRun = true
	for i, want := range []bool{true, false, false} {
		err := d.store.Update(context.Background(), entries.Partition(""), func(txn store.Txn) error {
			r, err := d.table.Charge(txn, nil, []Cell{full, room, look})
			if (r == nil) != want {
				t.Errorf("request %d: got %v", i, r)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := d.store.View(context.Background(), entries.Partition(""), func(txn store.Txn) error {
		used, until, err := d.table.State(txn, room)
		if used != 1 || !until.IsZero() {
			t.Errorf("got %d used, until %v, want 1", used, until)
		}
		used, until, err2 := d.table.State(txn, full)
		if used != 1 || !until.Equal(d.now.Add(time.Hour)) {
			t.Errorf("got %d used, until %v, want 1 for an hour", used, until)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBudgetHoldsOverAnyWindow: of all classes together, of any networks, over restarts.
// And whatever strangers do, the owner's part is there.
func TestBudgetHoldsOverAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk(rapid.IntRange(4, 60).Draw(t, "burst"))
		var taken []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			d.now = d.now.Add(time.Duration(rapid.Int64Range(0, int64(3*d.limit.Cost(1))).Draw(t, "gap")))
			if rapid.IntRange(0, 19).Draw(t, "restart") == 0 {
				d.restart()
			}
			class := Classes[rapid.IntRange(1, 3).Draw(t, "class")]
			if d.ask(class, Network(fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "network")))) == 0 {
				taken = append(taken, d.now)
			}
			if !conforms(d.limit, taken[:max(0, len(taken)-1)], d.now) {
				t.Fatalf("more than the budget was taken until %v", d.now)
			}
		}
		for n := range d.limit.Burst / 4 {
			if got := d.ask(Owner, Network(fmt.Sprint("owner ", n))); got != 0 {
				t.Fatalf("owner %d of %d has to wait %v", n, d.limit.Burst/4, got)
			}
		}
	})
}

// TestClockSetBackLocksNobodyOut for longer than the limit lasts.
func TestClockSetBackLocksNobodyOut(t *testing.T) {
	d := newDesk(3)
	for d.ask(Owner) == 0 { // until it is full
	}
	d.now = d.now.Add(-100 * time.Hour)
	if got := d.ask(Owner); got <= 0 || got > time.Hour {
		t.Errorf("got to wait %v, want an hour at most", got)
	}
}
