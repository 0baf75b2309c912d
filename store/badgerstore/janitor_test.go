// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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
	t.Parallel() // it waits, most of the time
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
		if s.opts.CompactMinSize = s.tableSize(); s.oversized() {
			t.Error("tables of the least size are looked at")
		}
		if s.opts.CompactMinSize--; !s.oversized() {
			t.Error("tables over the least size are not looked at")
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
	lookAround(t, s)                             // and hold on to nothing
	load(t, s, "session", 5000, time.Unix(1, 0)) // in the past, which deletes
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.tableSize(); got > full/2 {
		t.Errorf("tables = %d bytes after all of %d were deleted", got, full)
	}
}

// lookAround reads in all ways.
func lookAround(t *testing.T, s *Store) {
	t.Helper()
	_, lookupErr := lookup(s, spread(0), "session")
	scanErr := s.Scan(t.Context(), spread(0), "", func(string, []byte) (bool, error) { return false, nil })
	_, backupErr := s.Backup(t.Context(), io.Discard)
	_, emptyErr := s.Empty(t.Context())
	_, liveErr := s.liveSize(t.Context())
	if err := errors.Join(lookupErr, scanErr, backupErr, emptyErr, liveErr); err != nil {
		t.Fatal(err)
	}
}

// TestRotateWaitsForTheTable that takes the place of what was in memory.
func TestRotateWaitsForTheTable(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	write(t, s, "p", "key", "value", time.Time{})
	before, err := s.memtables()
	if err != nil || len(before) == 0 {
		t.Fatalf("memtables() = %q, %v", before, err)
	}
	if err := s.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := s.memtables()
	if err != nil || slices.ContainsFunc(after, func(log string) bool { return slices.Contains(before, log) }) {
		t.Errorf("memtables() = %q, %v, want none of %q", after, err, before)
	}
	if s.tableSize() == 0 {
		t.Error("there is no table")
	}
}

// TestRotateBesideAScan waits for what the scan holds on to until nobody wants it
// to.
func TestRotateBesideAScan(t *testing.T) {
	s := openTest(t, Options{JanitorInterval: -1})
	write(t, s, "p", "key", "value", time.Time{})
	err := s.Scan(t.Context(), "p", "", func(string, []byte) (bool, error) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			await(t, "write the table", func() bool { return s.tableSize() > 0 })
		}()
		return false, s.rotate(ctx)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("rotate() = %v, want %v", err, context.Canceled)
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
	write(t, s, "p", "key", "value", time.Time{})
	if _, err := s.liveSize(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("liveSize() of an ended context = %v, want %v", err, context.Canceled)
	}
	if err := pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("pause() of an ended context = %v, want %v", err, context.Canceled)
	}
	s.opts.Dir += "/missing"
	if err := s.Compact(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Compact() of a missing folder = %v, want %v", err, fs.ErrNotExist)
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

// compacted is the folder of a store, now closed, that has sessions in its tables.
func compacted(t *testing.T, sessions int) fs.FS {
	t.Helper()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, JanitorInterval: -1})
	load(t, s, "session", sessions, time.Time{})
	if err := errors.Join(s.Compact(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

func TestHousekeepingDecides(t *testing.T) {
	t.Parallel() // it waits, most of the time
	longAgo := time.Time{}
	tests := []struct {
		name   string
		opts   Options
		last   time.Time
		live   int  // sessions of 2000
		want   bool // compaction
		looked bool
	}{
		{"waste", Options{CompactMinSize: 1 << 10}, longAgo, 0, true, true},
		{"hardly more than a fifth live", Options{CompactMinSize: 1 << 10}, longAgo, 440, true, true},
		{"a third live", Options{CompactMinSize: 1 << 10}, longAgo, 667, false, true},
		{"all live", Options{CompactMinSize: 1 << 10}, longAgo, 2000, false, true},
		{"small", Options{}, longAgo, 0, false, false},
		{"looked a moment ago", Options{CompactMinSize: 1 << 10}, time.Now(), 0, false, false},
		{"a moment ago, no limit", Options{CompactMinSize: 1 << 10, CompactEvery: -1}, time.Now(), 0, true, true},
		{"switched off", Options{CompactMinSize: -1}, longAgo, 0, false, false},
	}
	tables := compacted(t, 2000)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			tt.opts.JanitorInterval, tt.opts.Logger, tt.opts.Dir = -1, zap.New(core), t.TempDir()
			if err := os.CopyFS(tt.opts.Dir, tables); err != nil {
				t.Fatal(err)
			}
			s := openTest(t, tt.opts)
			load(t, s, "session", 2000-tt.live, time.Unix(1, 0)) // in the past, which deletes
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

// TestHousekeepingTellsWhatFails, but not that it was interrupted.
func TestHousekeepingTellsWhatFails(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s, free := openOnDisk(t, Options{JanitorInterval: -1, CompactMinSize: 1 << 10, CompactEvery: -1, Logger: zap.New(core)})
	load(t, s, "session", 1000, time.Time{})
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	load(t, s, "session", 1000, time.Unix(1, 0)) // in the past, which deletes
	free.Store(0)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		s.housekeep(ctx, time.Time{})
		if got := logs.FilterMessage("cannot reclaim space of expired entries").Len(); got != 1 {
			t.Errorf("told %d times, want 1", got)
		}
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
