// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

var errBroken = errors.New("broken")

// plant puts something into the database as it is.
func plant(t *testing.T, s *Store, key string, raw []byte) {
	t.Helper()
	if err := s.update(t.Context(), func(tx *writeTxn) error { return tx.put(key, entry{raw: raw}) }); err != nil {
		t.Fatal(err)
	}
}

// TestBackupEndsWithWhatItIsWrittenTo, and does not read on.
func TestBackupEndsWithWhatItIsWrittenTo(t *testing.T) {
	s := openTest(t, Options{})
	write(t, s, "00", "k", strings.Repeat("x", store.MaxValueSize), time.Time{})
	write(t, s, "01", "k", "small", time.Time{})
	out, in := io.Pipe()
	if err := out.CloseWithError(errBroken); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), in); !errors.Is(err, errBroken) {
		t.Errorf("Backup = %v, want %v", err, errBroken)
	}
	plant(t, s, "zz/corrupt", []byte("x"))
	if _, err := s.Backup(t.Context(), in); !errors.Is(err, errBroken) {
		t.Errorf("Backup = %v, want %v before what comes later is read", err, errBroken)
	}
	if _, err := s.Backup(t.Context(), io.Discard); !errors.Is(err, errCorrupt) {
		t.Errorf("Backup of a corrupt entry = %v, want %v", err, errCorrupt)
	}
}

// TestReadErrorIsNoDamage: a backup that cannot be read may still be a good one.
func TestReadErrorIsNoDamage(t *testing.T) {
	s := openTest(t, Options{})
	write(t, s, "00", "k", "value", time.Time{})
	whole, _ := backup(t, s)
	for n := range len(whole) + 1 {
		from := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(errBroken))
		if _, err := CheckBackup(t.Context(), from); !errors.Is(err, errBroken) || errors.Is(err, ErrBackup) {
			t.Errorf("after %d bytes: CheckBackup = %v, want %v", n, err, errBroken)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CheckBackup(ended, bytes.NewReader(whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v, want %v", err, context.Canceled)
	}
}

// TestSumIsNotEnough: what nobody can have backed up is refused although it is
// whole.
func TestSumIsNotEnough(t *testing.T) {
	value := func(size int) string { return strings.Repeat("x", headerSize+size) }
	longest := "p/" + strings.Repeat("k", store.MaxKeySize)
	for name, test := range map[string]struct {
		key, raw string
		want     error
	}{
		"an entry":                        {"p/k", value(0), nil},
		"the largest":                     {longest, value(store.MaxValueSize), nil},
		"a value that is too large":       {"p/k", value(store.MaxValueSize + 1), ErrBackup},
		"a value without its expiry":      {"p/k", value(-1), ErrBackup},
		"a key that is too long":          {longest + "k", value(0), ErrBackup},
		"a key that is much too long":     {strings.Repeat(longest, 2), value(0), ErrBackup},
		"a key without a partition":       {"/k", value(0), ErrBackup},
		"a key that is a partition":       {"p/", value(0), ErrBackup},
		"a key of the store's own":        {probeKey, value(0), ErrBackup},
		"a key of a partition of no kind": {"p p/k", value(0), ErrBackup},
	} {
		var packed bytes.Buffer
		out := newSummed(&packed)
		out.write([]byte(backupMagic + "\x00\x00\x00\x00\x00\x00\x00\x00"))
		for _, piece := range []string{test.key, test.raw, "", ""} {
			out.piece([]byte(piece))
		}
		out.write(out.sum.Sum(nil))
		if err := out.out.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := CheckBackup(t.Context(), &packed); !errors.Is(err, test.want) {
			t.Errorf("%s: CheckBackup = %v, want %v", name, err, test.want)
		}
	}
}

// TestRestoreInPieces: more than a transaction can hold, by their number and by
// their size.
func TestRestoreInPieces(t *testing.T) {
	s := openTest(t, Options{})
	for i := range 30 {
		write(t, s, "large", fmt.Sprint(i), strings.Repeat("x", store.MaxValueSize), time.Time{})
	}
	const small = 15000
	for from := 0; from < small; from += 5000 {
		err := s.Update(t.Context(), "small", func(tx store.Txn) error {
			var errs []error
			for i := from; i < from+5000; i++ {
				errs = append(errs, tx.Set(fmt.Sprint(i), nil, time.Time{}))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, made := backup(t, s)
	dir := filepath.Join(t.TempDir(), "new")
	done, err := Restore(t.Context(), Options{Dir: dir}, bytes.NewReader(raw), RestoreOptions{})
	if err != nil || done.Written != 30+small {
		t.Fatalf("Restore = %+v, %v, want %d written", done, err, 30+small)
	}
	again, info := backup(t, openTest(t, Options{Dir: dir}))
	if head := len(backupMagic) + 8; info.Entries != made.Entries || !bytes.Equal(again[head:len(again)-len(info.Sum)], raw[head:len(raw)-len(made.Sum)]) {
		t.Errorf("a backup of what was restored has %d entries, want the same %d", info.Entries, made.Entries)
	}
}

// TestRestoreThatFails says why, and leaves nothing behind.
func TestRestoreThatFails(t *testing.T) {
	s := openTest(t, Options{})
	write(t, s, "00", "k", "value", time.Time{})
	one, _ := backup(t, s)
	for i := range 20 {
		write(t, s, "01", fmt.Sprint(i), strings.Repeat("x", store.MaxValueSize), time.Time{})
	}
	many, _ := backup(t, s)
	parent := t.TempDir()
	if err := os.Symlink(filepath.Join(parent, "missing"), filepath.Join(parent, "nowhere")); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		dir    string
		backup []byte
		free   int64
		want   error // nil: any
	}{
		"no name":               {dir: "", backup: one},
		"a parent of no kind":   {dir: filepath.Join(parent, "nowhere", "store"), backup: one, want: fs.ErrExist},
		"a name that is long":   {dir: filepath.Join(parent, strings.Repeat("x", 250)), backup: one, want: syscall.ENAMETOOLONG},
		"a full disk":           {dir: filepath.Join(parent, "a"), backup: one, free: 1 << 62, want: syscall.ENOSPC},
		"a disk that fills up":  {dir: filepath.Join(parent, "b"), backup: many, free: 1 << 62, want: syscall.ENOSPC},
		"an ended context":      {ctx: ended, dir: filepath.Join(parent, "c"), backup: one, want: context.Canceled},
		"an ended context, all": {ctx: ended, dir: filepath.Join(parent, "d"), backup: many, want: context.Canceled},
	} {
		ctx := test.ctx
		if ctx == nil {
			ctx = t.Context()
		}
		_, err := Restore(ctx, Options{Dir: test.dir, MinFreeSpace: test.free}, bytes.NewReader(test.backup), RestoreOptions{})
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: Restore = %v, want %v", name, err, test.want)
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("%v is left (%v)", left, err)
	}
	if err := syncDir(filepath.Join(parent, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("syncDir of a missing folder = %v, want %v", err, fs.ErrNotExist)
	}
}
