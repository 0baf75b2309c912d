// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// openOnDisk opens a store on a disk with as much free space as the test says.
func openOnDisk(t *testing.T, opts Options) (s *Store, free *atomic.Int64) {
	t.Helper()
	opts.Dir = t.TempDir()
	s, err := open(opts)
	if err != nil {
		t.Fatal(err)
	}
	free = new(atomic.Int64)
	free.Store(1 << 40)
	s.freeSpace = func(string) (int64, bool) { return free.Load(), true }
	s.start()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s, free
}

func TestFullDiskIsAnError(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s, free := openOnDisk(t, Options{Logger: zap.New(core)})
	write(t, s, "p", "key", "old", time.Time{})

	free.Store(DefaultMinFreeSpace - 1)
	for range 3 {
		if err := s.Update(t.Context(), "p", setKey("key", "new")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Update() on a full disk = %v, want %v", err, syscall.ENOSPC)
		} else if !strings.Contains(err.Error(), s.opts.Dir) {
			t.Errorf("Update() on a full disk = %v, which does not name %q", err, s.opts.Dir)
		}
	}
	if got, err := lookup(s, "p", "key"); got != "old" || err != nil {
		t.Errorf("Get() = %q, %v, want %q, nil", got, err, "old")
	}
	if err := s.Ping(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Ping() on a full disk = %v, want %v", err, syscall.ENOSPC)
	}

	free.Store(DefaultMinFreeSpace)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping() with space again = %v", err)
	}
	write(t, s, "p", "key", "new", time.Time{})
	var got []string
	for _, entry := range logs.AllUntimed() {
		got = append(got, entry.Level.String()+" "+entry.Message)
	}
	if want := "error store cannot write, info store can write again"; strings.Join(got, ", ") != want {
		t.Errorf("logged %q, want %q", strings.Join(got, ", "), want)
	}
}

func TestMinFreeSpaceOff(t *testing.T) {
	s, free := openOnDisk(t, Options{MinFreeSpace: -1})
	free.Store(0)
	write(t, s, "p", "key", "value", time.Time{})
	free.Store(-5) // only the superuser may write on
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping() = %v", err)
	}
}

func TestFreeSpaceOfRealDisk(t *testing.T) {
	dir := t.TempDir()
	if free, err := FreeSpace(dir); err != nil || free == 0 {
		t.Errorf("FreeSpace(%q) = %d, %v, want some", dir, free, err)
	}
	if _, err := FreeSpace(dir + "/missing"); !errors.Is(err, ErrSpaceUnknown) {
		t.Errorf("FreeSpace of a missing directory = %v, want %v", err, ErrSpaceUnknown)
	}
	for free, want := range map[int64]uint64{-5: 0, 0: 0, 5: 5} {
		if got, err := known(free, true); got != want || err != nil {
			t.Errorf("%d bytes are %d, %v, want %d", free, got, err, want)
		}
	}
	s := openTest(t, Options{})
	s.freeSpace = func(string) (int64, bool) { return 0, false }
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping() where free space is not known = %v", err)
	}
}

// TestWhatBadgerRefusesIsAnError of the commit, be it the engine's or our fault.
func TestWhatBadgerRefusesIsAnError(t *testing.T) {
	s, _ := openStopped(t)
	commit := func(key string, e entry) error {
		b := newBatch()
		b.merge(map[string]entry{key: e})
		return s.commit(b)
	}
	for name, e := range map[string]entry{"write": newEntry(nil, time.Time{}, time.Now()), "deletion": {}} {
		if err := commit("", e); !errors.Is(err, errEngine) {
			t.Errorf("%s without a key = %v, want %v", name, err, errEngine)
		}
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := commit("p/k", entry{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit to a closed engine = %v, want %v", err, store.ErrClosed)
	}
}

// While commits fail, Ping finds out by itself whether they still do.
func TestPingProbesAfterFailure(t *testing.T) {
	s := openTest(t, Options{})
	s.observe(errEngine)
	before := s.db.MaxVersion()
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping() = %v", err)
		}
	}
	if got := s.db.MaxVersion() - before; got != 1 {
		t.Errorf("three pings committed %d times, want once, until it is known to work", got)
	}
	// The probe is in no partition.
	for _, p := range []store.Partition{"probe", "p", "0"} {
		if err := s.Scan(t.Context(), p, "", func(key string, _ []byte) (bool, error) {
			t.Errorf("Scan(%q) found %q", p, key)
			return true, nil
		}); err != nil {
			t.Errorf("Scan(%q) = %v", p, err)
		}
	}
}
