// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// files lists a folder with what is in its files and when they were written.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || d.IsDir() {
			found[path] = info.Mode().String()
			return err
		}
		raw, err := os.ReadFile(path)
		found[path] = fmt.Sprintf("%s %s %x", info.Mode(), info.ModTime(), sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLookChangesNothing(t *testing.T) {
	s := openTest(t, Options{})
	dir := s.opts.Dir
	write(t, s, "p", "key", "value", time.Time{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	one, err := Look(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	two, err := Look(Options{Dir: dir}) // beside the first
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("Open() beside Look() = %v, want %v", err, ErrInUse)
	}
	for _, r := range []*Reader{one, two} {
		if err := r.View(t.Context(), "p", func(tx store.Txn) error {
			got, err := tx.Get("key")
			if string(got) != "value" {
				t.Errorf("Get() = %q, want value", got)
			}
			if setErr := tx.Set("other", nil, time.Time{}); !errors.Is(setErr, store.ErrReadOnly) {
				t.Errorf("Set() = %v, want %v", setErr, store.ErrReadOnly)
			}
			return err
		}); err != nil {
			t.Errorf("View() = %v", err)
		}
		if err := r.View(t.Context(), "p", func(store.Txn) error { return errAbort }); !errors.Is(err, errAbort) {
			t.Errorf("View() of what fails = %v, want %v", err, errAbort)
		}
		if err := r.Scan(t.Context(), "p", "", func(string, []byte) (bool, error) { return true, errAbort }); !errors.Is(err, errAbort) {
			t.Errorf("Scan() of what fails = %v, want %v", err, errAbort)
		}
		n := 0
		if err := r.Scan(t.Context(), "p", "", func(string, []byte) (bool, error) { n++; return true, nil }); err != nil || n != 1 {
			t.Errorf("Scan() found %d, %v, want 1", n, err)
		}
		if empty, err := r.Empty(t.Context()); err != nil || empty {
			t.Errorf("Empty() = %v, %v, want false", empty, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Empty(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Empty() after Close = %v, want %v", err, store.ErrClosed)
		}
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("files are\n%v, were\n%v", after, before)
	}
	openTest(t, Options{Dir: dir})
}

func TestLookWhereThereIsNothingToSee(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "a", "b")
	strange := t.TempDir()
	if err := os.Mkdir(filepath.Join(strange, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	unclosed := t.TempDir()
	for _, name := range []string{filepath.Join(damaged, badger.ManifestFilename), filepath.Join(unclosed, "00001.mem")} {
		if err := os.WriteFile(name, []byte("no manifest"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := openTest(t, Options{})
	torn := openTest(t, Options{})
	write(t, torn, "p", "key", "value", time.Time{})
	if err := errors.Join(torn.Close(), os.Remove(filepath.Join(torn.opts.Dir, badger.ManifestFilename))); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		want      error // nil: any
	}{
		{"no folder", missing, ErrNone},
		{"empty folder", t.TempDir(), ErrNone},
		{"the folder of a mounted disk", strange, ErrNone},
		{"a file", file, syscall.ENOTDIR},
		{"damaged", damaged, nil},
		{"not closed", unclosed, ErrNotClosed},
		{"open", open.opts.Dir, ErrInUse},
		{"tables that are not listed", torn.opts.Dir, errTorn},
		{"no name", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := Look(Options{Dir: tt.dir}); err == nil || r != nil || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("Look() = %v, %v, want error %v", r, err, tt.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Dir(missing)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made (%v)", err)
	}
	if err := checkFiles(file); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("checkFiles() of a file = %v, want %v", err, syscall.ENOTDIR)
	}
}

// TestInUse: to ask does not keep anybody from opening.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	if used, err := inUse(dir); used || err != nil {
		t.Errorf("inUse() = %v, %v, want false", used, err)
	}
	openTest(t, Options{Dir: dir})
	if used, err := inUse(dir); !used || err != nil {
		t.Errorf("inUse() of an open store = %v, %v, want true", used, err)
	}
	missing := filepath.Join(dir, "missing")
	if used, err := inUse(missing); used || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inUse() of nothing = %v, %v, want %v", used, err, fs.ErrNotExist)
	}
	if err := notClosed(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("notClosed() of nothing = %v, want %v", err, fs.ErrNotExist)
	}
}

// TestEmptyIsOfWhatLives in partitions; and what cannot be told is not empty.
func TestEmptyIsOfWhatLives(t *testing.T) {
	clock := storetest.NewClock(time.Now())
	s := openTest(t, Options{Clock: clock.Now})
	want := func(ctx context.Context, empty bool, err error) {
		t.Helper()
		if got, gotErr := s.Empty(ctx); got != empty || !errors.Is(gotErr, err) {
			t.Errorf("Empty() = %v, %v, want %v, %v", got, gotErr, empty, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	plant(t, s, probeKey, newEntry(nil, time.Time{}, clock.Now()).raw)
	want(t.Context(), true, nil)
	write(t, s, "p", "a", "lives", time.Time{})
	write(t, s, "p", "z", "expires", clock.Now().Add(time.Hour))
	clock.Advance(2 * time.Hour)
	want(t.Context(), false, nil)
	if err := s.Update(t.Context(), "p", func(tx store.Txn) error { return tx.Delete("a") }); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), true, nil)
	plant(t, s, "z/corrupt", []byte("x"))
	want(t.Context(), false, errCorrupt)
	want(ended, false, context.Canceled)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), false, store.ErrClosed)
}

func TestLookEndsGoroutines(t *testing.T) {
	s := openTest(t, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cycle := func() {
		r, err := Look(Options{Dir: s.opts.Dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	before := runtime.NumGoroutine()
	for range 5 {
		cycle()
	}
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d", runtime.NumGoroutine(), before)
		}
	}
}
