// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// spread returns the i-th of partitions that are in no order, as hashes are.
func spread(i int) store.Partition {
	return store.Partition(fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15))
}

// load writes so many sessions of 300 incompressible bytes, many per update,
// each in a partition of its own.
func load(t *testing.T, s *Store, name string, sessions int, expires time.Time) {
	t.Helper()
	for from := 0; from < sessions; from += 1000 {
		err := s.update(t.Context(), func(tx *writeTxn) error {
			for i := from; i < min(from+1000, sessions); i++ {
				tx.partition = spread(i)
				value := make([]byte, 300)
				_, _ = rand.Read(value) // never fails
				if err := tx.Set(name, value, expires); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// await polls for what happens in the background.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it has not happened", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The hard case: all is in the last level, nothing is in memory, and nobody
// reads or writes. Badger does nothing about that by itself.
func TestIdleStoreReclaimsExpiredSpace(t *testing.T) {
	const kept = 100
	s := openTest(t, Options{JanitorInterval: 100 * time.Millisecond, CompactMinSize: 512 << 10, CompactEvery: -1})
	load(t, s, "kept", kept, time.Time{})
	var full int64
	// What expires before it was measured shows nothing: a machine that is busy
	// gets more time.
	for lives := 5 * time.Second; ; lives *= 2 {
		expires := time.Now().Add(lives)
		load(t, s, "short", 10000, expires)
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		if full = s.tableSize(); time.Now().Before(expires) {
			break
		}
	}
	if full < 10000*300 {
		t.Fatalf("tables before expiry = %d bytes, want at least 10000 sessions of 300", full)
	}
	await(t, "reclaim expired space", func() bool { return s.tableSize() < full/4 })
	for i := range kept {
		p := spread(i)
		if _, err := lookup(s, p, "kept"); err != nil {
			t.Fatalf("Get() of live entry %d = %v", i, err)
		}
	}
}

func TestCompactKeepsWhatIsLive(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	load(t, s, "live", 5000, time.Now().Add(time.Hour))
	for range 2 {
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		live, err := s.liveSize(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if size := s.tableSize(); live < 5000*300 || size < 5000*300 || size > 5000*600 {
			t.Errorf("5000 sessions take %d bytes, estimated as %d, want 1.5 to 3 MB", size, live)
		}
		last := spread(4999)
		if _, err := lookup(s, last, "live"); err != nil {
			t.Errorf("Get() = %v", err)
		}
	}
}

func TestCompactDropsWhatIsDeleted(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	load(t, s, "session", 5000, time.Time{})
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	full := s.tableSize()
	load(t, s, "session", 5000, time.Unix(1, 0)) // in the past, which deletes
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.tableSize(); got > full/2 {
		t.Errorf("tables = %d bytes after all of %d were deleted", got, full)
	}
}

func TestCompactOfEmptyStore(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	for range 3 {
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// The padding that sets a compaction off may outlive it.
	if got := s.tableSize(); got > 1<<20 {
		t.Errorf("tables of an empty store = %d bytes, want at most 1 MiB", got)
	}
}

// Updates and views go on during a compaction, and lose nothing.
func TestCompactBesideTraffic(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	load(t, s, "session", 5000, time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	counts := make([]int, 8)
	var wg sync.WaitGroup
	for w := range counts {
		wg.Go(func() {
			p := store.Partition(strconv.Itoa(w))
			for ctx.Err() == nil {
				counts[w]++
				write(t, s, p, "count", strconv.Itoa(counts[w]), time.Time{})
				if got, err := lookup(s, p, "count"); got != strconv.Itoa(counts[w]) || err != nil {
					t.Errorf("Get() during a compaction = %q, %v, want %d, nil", got, err, counts[w])
				}
			}
		})
	}
	for range 2 {
		var both sync.WaitGroup
		for range 2 { // of each other, too
			both.Go(func() {
				if err := s.Compact(t.Context()); err != nil {
					t.Errorf("Compact() = %v", err)
				}
			})
		}
		both.Wait()
	}
	cancel()
	wg.Wait()
	for w, count := range counts {
		if got, err := lookup(s, store.Partition(strconv.Itoa(w)), "count"); got != strconv.Itoa(count) || err != nil {
			t.Errorf("Get() = %q, %v, want %d, nil", got, err, count)
		}
	}
}

func TestCompactRefusals(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Compact() of an ended context = %v, want %v", err, context.Canceled)
	}
	s.compacting <- struct{}{} // another one runs
	if err := s.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Compact() behind another = %v, want %v", err, context.Canceled)
	}
	<-s.compacting
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Compact() after Close = %v, want %v", err, store.ErrClosed)
	}
}

func TestHousekeepingDecides(t *testing.T) {
	longAgo := time.Time{}
	tests := []struct {
		name   string
		opts   Options
		last   time.Time
		waste  bool
		want   bool // compaction
		looked bool
	}{
		{"waste", Options{CompactMinSize: 1 << 10}, longAgo, true, true, true},
		{"all live", Options{CompactMinSize: 1 << 10}, longAgo, false, false, true},
		{"small", Options{}, longAgo, true, false, false},
		{"looked a moment ago", Options{CompactMinSize: 1 << 10}, time.Now(), true, false, false},
		{"a moment ago, no limit", Options{CompactMinSize: 1 << 10, CompactEvery: -1}, time.Now(), true, true, true},
		{"switched off", Options{CompactMinSize: -1}, longAgo, true, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			tt.opts.JanitorInterval, tt.opts.Logger = -1, zap.New(core)
			s := openTest(t, tt.opts)
			load(t, s, "session", 2000, time.Time{})
			if err := s.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			if tt.waste {
				load(t, s, "session", 2000, time.Unix(1, 0)) // in the past, which deletes
			}
			logs.TakeAll()
			last := s.housekeep(t.Context(), tt.last)
			if got := logs.FilterMessage("compacted store").Len() == 1; got != tt.want {
				t.Errorf("compacted: %v, want %v", got, tt.want)
			}
			if got := last.After(tt.last); got != tt.looked {
				t.Errorf("looked at the tables: %v, want %v", got, tt.looked)
			}
		})
	}
}

// Close ends a janitor that is at work, whatever it is doing.
func TestCloseEndsHousekeeping(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: time.Millisecond, CompactMinSize: 1, CompactEvery: -1})
	load(t, s, "session", 2000, time.Time{})
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	load(t, s, "session", 2000, time.Unix(1, 0))
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// Markers of the store's own must lie outside of every partition.
func TestMarkersSurroundPartitions(t *testing.T) {
	for _, p := range []store.Partition{"-", "0", "A", "_", "z", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"} {
		if !p.Valid() {
			t.Fatalf("partition %q is not valid", p)
		}
		if key := partitionPrefix(p) + "\xff"; key <= probeKey || key <= firstKey || key >= lastKey {
			t.Errorf("key %q of partition %q is not between the markers", key, p)
		}
	}
}
