// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// backup returns a backup of a store.
func backup(tb testing.TB, s *Store) ([]byte, BackupInfo) {
	tb.Helper()
	var out bytes.Buffer
	info, err := s.Backup(tb.Context(), &out)
	if err != nil {
		tb.Fatalf("Backup: %v", err)
	}
	return out.Bytes(), info
}

func TestBackupAndRestore(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	s := openTest(t, Options{Clock: clock})
	write(t, s, "00", "s/short", "until soon", now.Add(30*time.Second))
	write(t, s, "00", "s/long", "until later", now.Add(time.Hour))
	write(t, s, "3f", "b/ever", "", time.Time{})
	write(t, s, "3f", "b/gone", "deleted", time.Time{})
	write(t, s, "shield", "c/x", strings.Repeat("x", store.MaxValueSize), now.Add(time.Hour))
	if err := s.Update(t.Context(), "3f", func(tx store.Txn) error { return tx.Delete("b/gone") }); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err != nil { // leaves keys of the store's own
		t.Fatal(err)
	}
	plant(t, s, probeKey, newEntry(nil, time.Time{}, now).raw)
	raw, made := backup(t, s)
	if want := now.UTC().Truncate(time.Millisecond); !made.Begun.Equal(want) {
		t.Errorf("begun %v, want %v", made.Begun, want)
	}
	if made.Entries != 4 || bytes.Contains(raw, []byte("gone")) {
		t.Errorf("got %d entries, want the 4 that live", made.Entries)
	}
	if checked, err := CheckBackup(t.Context(), bytes.NewReader(raw)); err != nil || checked != made {
		t.Errorf("CheckBackup = %+v, %v, want %+v", checked, err, made)
	}
	now = now.Add(time.Minute)
	if _, later := backup(t, s); later.Entries != 3 {
		t.Errorf("got %d entries after one has expired, want 3", later.Entries)
	}
	opts := Options{Dir: filepath.Join(t.TempDir(), "new", "store"), Clock: clock}
	done, err := Restore(t.Context(), opts, bytes.NewReader(raw), RestoreOptions{
		Drop: func(p store.Partition, key string) bool { return p == "shield" && key == "c/x" },
		Then: func(_ context.Context, s store.Store) error {
			write(t, s, "00", "u/restored", "yes", time.Time{})
			return nil
		},
	})
	if want := (Restored{BackupInfo: made, Written: 2, Dropped: 1, Expired: 1}); err != nil || done != want {
		t.Fatalf("Restore = %+v, %v, want %+v", done, err, want)
	}
	r := openTest(t, opts)
	for _, e := range []struct {
		p          store.Partition
		key, value string
		err        error
	}{
		{"00", "s/long", "until later", nil},
		{"3f", "b/ever", "", nil},
		{"00", "u/restored", "yes", nil},
		{"00", "s/short", "", store.ErrNotFound},
		{"3f", "b/gone", "", store.ErrNotFound},
		{"shield", "c/x", "", store.ErrNotFound},
	} {
		if got, err := lookup(r, e.p, e.key); got != e.value || !errors.Is(err, e.err) {
			t.Errorf("%s %s = %q, %v, want %q, %v", e.p, e.key, got, err, e.value, e.err)
		}
	}
	now = now.Add(time.Hour - time.Minute + expiryUnit)
	if got, err := lookup(r, "00", "s/long"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its end: %q, %v, want the expiry to be the old one", got, err)
	}
}

// TestBackupIsOfOneMoment: two entries that are always written together are the
// same in every backup, and what was answered before is in it.
func TestBackupIsOfOneMoment(t *testing.T) {
	s := openTest(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	wrote := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			value := []byte(fmt.Sprint(n))
			err := s.Update(context.Background(), "00", func(tx store.Txn) error {
				return errors.Join(tx.Set("a", value, time.Time{}), tx.Set("z", value, time.Time{}))
			})
			if err != nil {
				t.Error(err)
				break
			}
		}
		wrote <- n
	}()
	seen := map[string]bool{}
	for i := range 20 {
		write(t, s, "01", fmt.Sprint("before", i), "x", time.Time{})
		raw, _ := backup(t, s)
		got := map[string]string{}
		if _, err := readBackup(t.Context(), bytes.NewReader(raw), func(key string, value []byte) error {
			got[key] = string(value[headerSize:])
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got["00/a"] != got["00/z"] {
			t.Fatalf("got %q and %q, which were never there together", got["00/a"], got["00/z"])
		}
		if _, ok := got[fmt.Sprint("01/before", i)]; !ok {
			t.Errorf("what was written before is not in backup %d", i)
		}
		seen[got["00/a"]] = true
	}
	cancel()
	if n := <-wrote; n < 2 || len(seen) < 2 {
		t.Errorf("%d writes and %d different backups: nothing happened meanwhile", n, len(seen))
	}
}

// TestDamagedBackups: no backup that is not whole is taken for one, and none is
// restored, whichever byte is wrong.
func TestDamagedBackups(t *testing.T) {
	s := openTest(t, Options{})
	write(t, s, "00", "k", "value", time.Time{})
	whole, _ := backup(t, s)
	damaged := map[string][]byte{"with something behind it": append(bytes.Clone(whole), 0)}
	for i := range whole {
		damaged[fmt.Sprintf("cut at %d", i)] = whole[:i]
		changed := bytes.Clone(whole)
		changed[i] ^= 0x10
		damaged[fmt.Sprintf("changed at %d", i)] = changed
	}
	for name, raw := range damaged {
		if _, err := CheckBackup(t.Context(), bytes.NewReader(raw)); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: CheckBackup = %v, want %v", name, err, ErrBackup)
		}
	}
	dir := filepath.Join(t.TempDir(), "store")
	for _, raw := range [][]byte{whole[:len(whole)-1], damaged[fmt.Sprintf("changed at %d", len(whole)-1)]} {
		if _, err := Restore(t.Context(), Options{Dir: dir}, bytes.NewReader(raw), RestoreOptions{}); !errors.Is(err, ErrBackup) {
			t.Errorf("Restore = %v, want %v", err, ErrBackup)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func FuzzCheckBackup(f *testing.F) {
	s := openTest(f, Options{})
	write(f, s, "00", "k", "value", time.Time{})
	whole, _ := backup(f, s)
	f.Add(whole)
	f.Add([]byte(backupMagic))
	f.Add([]byte(backupMagic + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		info, err := CheckBackup(t.Context(), bytes.NewReader(raw))
		if err == nil && !bytes.Equal(raw[len(raw)-len(info.Sum):], info.Sum[:]) {
			t.Errorf("taken for whole with another sum at its end")
		}
		if err != nil && !errors.Is(err, ErrBackup) {
			t.Errorf("got %v, want %v", err, ErrBackup)
		}
	})
}

// TestRestoreOverwritesNothing: not a store, not one that is open, not one that
// appears meanwhile, nor anything else.
func TestRestoreOverwritesNothing(t *testing.T) {
	source := openTest(t, Options{})
	write(t, source, "00", "k", "of the backup", time.Time{})
	raw, _ := backup(t, source)
	used := t.TempDir()
	open := openTest(t, Options{Dir: used})
	write(t, open, "00", "k", "of the server", time.Time{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(t.TempDir(), "late")
	appears := filepath.Join(t.TempDir(), "appears")
	var started *Store
	for name, test := range map[string]struct {
		dir  string
		then func(context.Context, store.Store) error
		want error
	}{
		"a store that is open": {dir: used, want: ErrNotEmpty},
		"a file":               {dir: file},
		"a server that starts": {dir: late, want: ErrNotEmpty, then: func(context.Context, store.Store) error {
			started = openTest(t, Options{Dir: late})
			return nil
		}},
		"a file that appears": {dir: appears, want: syscall.ENOTDIR, then: func(context.Context, store.Store) error {
			return os.WriteFile(appears, nil, 0o600)
		}},
		"an error at the end": {dir: filepath.Join(t.TempDir(), "x"), want: io.ErrNoProgress, then: func(context.Context, store.Store) error {
			return io.ErrNoProgress
		}},
	} {
		_, err := Restore(t.Context(), Options{Dir: test.dir}, bytes.NewReader(raw), RestoreOptions{Then: test.then})
		if err == nil || !errors.Is(err, test.want) && test.want != nil {
			t.Errorf("%s: Restore = %v, want %v", name, err, test.want)
		}
		if left, _ := filepath.Glob(test.dir + ".restoring-*"); len(left) != 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	if got, err := lookup(open, "00", "k"); err != nil || got != "of the server" {
		t.Errorf("the open store has %q (%v)", got, err)
	}
	if got, err := lookup(started, "00", "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the store that was started has %q (%v), want nothing of the backup", got, err)
	}
	if _, err := os.Stat(appears); err != nil {
		t.Errorf("the file that appeared: %v", err)
	}
	empty := t.TempDir()
	if done, err := Restore(t.Context(), Options{Dir: empty}, bytes.NewReader(raw), RestoreOptions{}); err != nil || done.Written != 1 {
		t.Errorf("an empty folder: Restore = %+v, %v", done, err)
	}
}

func TestBackupOfAClosedStore(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, s, "00", "k", "v", time.Time{})
	if _, err := s.Backup(ended, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v, want %v", err, context.Canceled)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), io.Discard); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Backup = %v, want %v", err, store.ErrClosed)
	}
}
