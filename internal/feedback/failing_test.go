// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestStoreFailsOnceAtEachOperation: whoever asked is told, in the middle of a change
// of keys too, and what failed can be asked for again.
func TestStoreFailsOnceAtEachOperation(t *testing.T) {
	ctx := context.Background()
	for at, over := 1, false; !over; at++ {
		b := newBench(t, Policy{Strikes: 2})
		b.record(t, alice, softBounce(start, "1"))
		b.record(t, bob, hardBounce(start))
		b.record(t, "carol@example.org", hardBounce(start))
		g, first, second := NewReplayGuard(b.store, b.keys), sha256.Sum256([]byte("first")), sha256.Sum256([]byte("second"))
		if ok, err := g.Claim(ctx, "former", first, start.Add(day)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		b.renew(t, 8, 7)
		disk := &storetest.Breaking{Store: b.store, Err: errBroken}
		disk.Arm(at)
		b.cfg.Store, g.store = disk, disk
		failed := 0
		do := func(name string, one func() error) {
			err := one()
			if errors.Is(err, errBroken) {
				failed++
				err = one()
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		do("record", func() error { return b.Record(ctx, verification.Email, alice, softBounce(start, "2")) })
		do("add", func() error { return b.Add(ctx, verification.Email, bob, ReasonManual, start.Add(900*day)) })
		do("look up", func() error {
			e, ok, err := b.Lookup(ctx, verification.Email, alice)
			if err == nil && (!ok || e.Reason != ReasonSoft) {
				return fmt.Errorf("got %+v, %t", e, ok)
			}
			return err
		})
		do("list", func() error {
			list, more, err := b.List(ctx, 9)
			if err == nil && (len(list) != 3 || more) {
				return fmt.Errorf("got %+v, %t", list, more)
			}
			return err
		})
		do("remove", func() error {
			_, err := b.Remove(ctx, verification.Email, bob)
			return err
		})
		do("move", func() error { _, err := b.Reseal(ctx); return err })
		for i, content := range [][sha256.Size]byte{first, second} {
			for _, token := range []string{"former", "new"} {
				do("claim", func() error {
					ok, err := g.Claim(ctx, token, content, start.Add(day))
					if err == nil && ok != (i == 0) || err != nil && ok {
						return fmt.Errorf("%s with content %d: %t", token, i, ok)
					}
					return err
				})
			}
		}
		b.cfg.Store = b.store
		for addr, want := range map[string]Reason{alice: ReasonSoft, bob: "", "carol@example.org": ReasonBounce} {
			if got := b.reason(t, addr); got != want {
				t.Errorf("%s: got %q, want %q", addr, got, want)
			}
		}
		if over = disk.Broke() == ""; over != (failed == 0) || failed > 1 {
			t.Errorf("%d have failed", failed)
		}
		if t.Failed() {
			t.Fatalf("operation %d failed: %s", at, disk.Broke())
		}
	}
}

// TestEntriesSayAll that is known: what, since when, until when and by which code.
func TestEntriesSayAll(t *testing.T) {
	p := Policy{Bounce: 10 * day, Complaint: 20 * day, Strikes: 2, Window: 3 * day, Soft: 2 * day}
	for name, tt := range map[string]struct {
		reports []Report
		want    Entry
	}{
		"complaint": {[]Report{{Kind: Complaint, Code: "5.7.1", At: start.Add(-day)}}, Entry{ReasonComplaint, start.Add(-day), start.Add(19 * day), "5.7.1"}},
		"bounce":    {[]Report{hardBounce(start.Add(-day))}, Entry{ReasonBounce, start.Add(-day), start.Add(9 * day), "5.1.1"}},
		"no time":   {[]Report{hardBounce(time.Time{})}, Entry{ReasonBounce, start, start.Add(10 * day), "5.1.1"}},
		"as far apart as counts": {
			[]Report{softBounce(start.Add(-3*day), "1"), softBounce(start, "2")}, Entry{ReasonSoft, start, start.Add(2 * day), "4.2.2"},
		},
		"further apart":    {[]Report{softBounce(start.Add(-3*day-time.Millisecond), "1"), softBounce(start, "2")}, Entry{}},
		"soft before hard": {[]Report{hardBounce(start), softBounce(start, "1")}, Entry{ReasonBounce, start, start.Add(10 * day), "5.1.1"}},
	} {
		b := newBench(t, p)
		for _, r := range tt.reports {
			b.record(t, alice, r)
		}
		if e, ok, err := b.Lookup(context.Background(), verification.Email, alice); err != nil || ok != (tt.want != Entry{}) || e != tt.want {
			t.Errorf("%s: got %+v, %t, %v, want %+v", name, e, ok, err, tt.want)
		}
		if tt.want.Until.IsZero() {
			continue
		}
		b.clock.Advance(tt.want.Until.Sub(start) - time.Second)
		if got := b.reason(t, alice); got != tt.want.Reason {
			t.Errorf("%s: got %q a second before the end", name, got)
		}
	}
	b := newBench(t, p)
	want := Entry{Reason: ReasonManual, Since: start, Until: start.Add(day)}
	if err := b.Add(context.Background(), verification.Email, alice, want.Reason, want.Until); err != nil {
		t.Fatal(err)
	}
	if e, _, err := b.Lookup(context.Background(), verification.Email, alice); err != nil || e != want {
		t.Errorf("got %+v, %v, want %+v", e, err, want)
	}
}

// read is what is stored of an address, whose record is where it should be.
func (b *bench) read(t *testing.T, addr string) (r record) {
	t.Helper()
	places, _, err := b.locate(verification.Email, addr)
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.View(context.Background(), places[0].partition, func(txn store.Txn) error {
		return suppressions.Get(txn, b.keys, places[0].key, &r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStrikeToldAgainIsOfItsFirstTime, whichever is told first.
func TestStrikeToldAgainIsOfItsFirstTime(t *testing.T) {
	for _, times := range [][]int64{{5, 9}, {9, 5}} {
		var r record
		for _, at := range times {
			r.strike(strike{ID: []byte("one"), At: at})
		}
		if len(r.Strikes) != 1 || r.Strikes[0].At != 5 {
			t.Errorf("told of %v: got %+v, want one of 5", times, r.Strikes)
		}
	}
}

// TestStrikesAreForgotten when they can count no more, and when there are too many.
func TestStrikesAreForgotten(t *testing.T) {
	b := newBench(t, Policy{Window: 3 * day, Soft: 2 * day})
	for n, keeps := range map[time.Duration]int{5 * day: 1, 5*day - time.Millisecond: 2} {
		addr := fmt.Sprintf("user%d@example.org", n)
		now := b.clock.Now()
		b.record(t, addr, hardBounce(now)) // by which the record outlives the strike
		b.record(t, addr, softBounce(now, "old"))
		b.clock.Advance(n)
		b.record(t, addr, softBounce(b.clock.Now(), "new"))
		if got := b.read(t, addr).Strikes; len(got) != keeps {
			t.Errorf("after %s: %d strikes, want %d", n, len(got), keeps)
		}
	}
	for n := range 2 * maxStrikes {
		b.record(t, alice, softBounce(b.clock.Now(), fmt.Sprint(n)))
		b.clock.Advance(time.Second)
	}
	if got := b.read(t, alice).Strikes; len(got) != maxStrikes || got[0].At != b.clock.Now().Add(-maxStrikes*time.Second).UnixMilli() {
		t.Errorf("%d strikes, the first of %d, want the newest %d", len(got), got[0].At, maxStrikes)
	}
}

// TestResealMovesWhatIsInOneRespectOfBefore: by its place, or by its seal.
func TestResealMovesWhatIsInOneRespectOfBefore(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	former := newKeys(t, 7)
	const many = sealed.Partitions + 1 // so that two are in one
	for n := range many {
		b.record(t, fmt.Sprintf("user%d@example.org", n), hardBounce(start))
	}
	b.renew(t, 8, 7)
	for addr, odd := range map[string]int{alice: 0, bob: 1} {
		places, _, err := b.locate(verification.Email, addr)
		if err != nil {
			t.Fatal(err)
		}
		b.place(t, places[odd], map[int]*keyring.Ring{0: former, 1: b.keys}[odd], record{
			Medium: string(verification.Email), Address: addr, Reason: ReasonBounce, Until: start.Add(day).UnixMilli(),
		})
	}
	write(t, b, sealed.PartitionName(0), suppressions.Key("!"), "of a key that is gone")
	if moved, err := b.Reseal(ctx); err != nil || moved != many+2 {
		t.Errorf("Reseal = %d, %v, want %d", moved, err, many+2)
	}
	b.renew(t, 8)
	for _, addr := range []string{alice, bob, "user0@example.org"} {
		if got := b.reason(t, addr); got != ReasonBounce {
			t.Errorf("%s: got %q without the former key", addr, got)
		}
	}
}

// TestGuardDoesNotKnowWhatItDidNotWrite, however it came to the place of a token.
func TestGuardDoesNotKnowWhatItDidNotWrite(t *testing.T) {
	b := newBench(t, Policy{})
	b.renew(t, 8, 7)
	for _, name := range b.keys.HashTexts("webhook token", "token") {
		for _, value := range []string{"", "short", string(make([]byte, sha256.Size)), string(make([]byte, 2*sha256.Size))} {
			write(t, b, sealed.PartitionOf(name), claims.Key(name), value)
			if ok, err := NewReplayGuard(b.store, b.keys).Claim(context.Background(), "token", [sha256.Size]byte{}, start.Add(day)); ok || err != nil {
				t.Errorf("with %d bytes there: Claim = %t, %v", len(value), ok, err)
			}
		}
	}
}

// TestSealedEntry: suppressions are sealed, claims are not.
func TestSealedEntry(t *testing.T) {
	if !sealed.Awaited("00", suppressions.Key("name")) || sealed.Awaited("00", claims.Key("name")) {
		t.Error("one of them is taken for the other")
	}
}
