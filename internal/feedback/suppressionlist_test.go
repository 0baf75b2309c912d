// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

func write(t *testing.T, b *bench, p store.Partition, key, value string) {
	t.Helper()
	err := b.store.Update(context.Background(), p, func(txn store.Txn) error {
		return txn.Set(key, []byte(value), time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListNamesPseudonymsOnly(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	b.record(t, alice, Report{Kind: Complaint, At: start})
	b.record(t, bob, hardBounce(start))
	b.record(t, "carol@example.org", softBounce(start, "one strike is no suppression"))
	list, more, err := b.List(ctx, 10)
	if err != nil || more || len(list) != 2 {
		t.Fatalf("List = %+v, %t, %v, want two", list, more, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", list), "example") {
		t.Errorf("an address is in %+v", list)
	}
	if got, want := list[0].Pseudonym, b.keys.Pseudonym(start, bob); got != want || list[0].Reason != ReasonBounce {
		t.Errorf("the first to end is %+v, want that of bob, %q", list[0], want)
	}
	if got, want := list[1].Pseudonym, b.keys.Pseudonym(start, alice); got != want || list[1].Medium != verification.Email {
		t.Errorf("the second is %+v, want that of alice, %q", list[1], want)
	}
	b.clock.Advance(day)
	next, _, err := b.List(ctx, 10)
	if err != nil || len(next) != 2 || next[1].Pseudonym == list[1].Pseudonym {
		t.Errorf("the day after: %+v, %v, want other names", next, err)
	}
}

func TestListIsBounded(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	for n := range 20 {
		b.record(t, fmt.Sprintf("user%d@example.org", n), hardBounce(start))
	}
	for limit, want := range map[int]bool{0: true, 19: true, 20: false, 100: false} {
		list, more, err := b.List(ctx, limit)
		if err != nil || more != want || len(list) != min(limit, 20) {
			t.Errorf("List(%d) has %d, more = %t, %v", limit, len(list), more, err)
		}
	}
}

// TestListPassesOverWhatItCannotRead, and over what suppresses nobody.
func TestListPassesOverWhatItCannotRead(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	b.clock.Advance(time.Hour)
	const many = sealed.Partitions + 1 // so that two are in one
	for n := range many {
		b.record(t, fmt.Sprintf("user%d@example.org", n), hardBounce(start))
	}
	for n := range sealed.Partitions {
		p := sealed.PartitionName(n)
		write(t, b, p, suppressions.Key("!0"), "")
		write(t, b, p, suppressions.Key("!1"), "garbage")
		b.place(t, place{p, suppressions.Key("!2")}, b.keys, record{Reason: ReasonBounce, Until: start.UnixMilli()})
	}
	list, _, err := b.List(ctx, 2*many)
	if err != nil || len(list) != many {
		t.Errorf("List has %d, %v, want %d", len(list), err, many)
	}
	counts := map[byte]int{}
	if err := b.SealedBy(ctx, counts); err != nil || counts[7] != many+sealed.Partitions || counts['g'] != sealed.Partitions || len(counts) != 2 {
		t.Errorf("SealedBy = %v, %v", counts, err)
	}
}

// place writes a record where it is told to.
func (b *bench) place(t *testing.T, at place, keys *keyring.Ring, r record) {
	t.Helper()
	err := b.store.Update(context.Background(), at.partition, func(txn store.Txn) error {
		return suppressions.Put(txn, keys, at.key, &r, time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
}
