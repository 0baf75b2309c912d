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
		// It fails once, and is at its end when it is read again.
		if _, err := CheckBackup(t.Context(), iotest.TimeoutReader(bytes.NewReader(whole[:n]))); n > 0 && !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("after %d bytes: CheckBackup = %v, want %v", n, err, iotest.ErrTimeout)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CheckBackup(ended, bytes.NewReader(whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v, want %v", err, context.Canceled)
	}
}

// pack makes a whole backup of keys and values, whatever they are.
func pack(t *testing.T, entries ...[2]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	out := newSummed(&packed)
	out.write([]byte(backupMagic + "\x00\x00\x00\x00\x00\x00\x00\x00"))
	for _, e := range append(entries, [2]string{}) {
		out.piece([]byte(e[0]))
		out.piece([]byte(e[1]))
	}
	out.write(out.sum.Sum(nil))
	if err := out.out.Flush(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
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
		if _, err := CheckBackup(t.Context(), bytes.NewReader(pack(t, [2]string{test.key, test.raw}))); !errors.Is(err, test.want) {
			t.Errorf("%s: CheckBackup = %v, want %v", name, err, test.want)
		}
	}
}

// TestRestoreInPieces: more than a transaction can hold, by their number and by
// their size.
func TestRestoreInPieces(t *testing.T) {
	var entries [][2]string
	for i := range 15000 {
		entries = append(entries, [2]string{fmt.Sprintf("a/%05d", i), strings.Repeat("\x00", headerSize)})
	}
	for i := range 20 {
		entries = append(entries, [2]string{fmt.Sprintf("b/%02d", i), strings.Repeat("\x00", headerSize+store.MaxValueSize)})
	}
	raw := pack(t, entries...)
	dir := filepath.Join(t.TempDir(), "new")
	done, err := Restore(t.Context(), Options{Dir: dir}, bytes.NewReader(raw), RestoreOptions{})
	if err != nil || done.Written != len(entries) {
		t.Fatalf("Restore = %+v, %v, want %d written", done, err, len(entries))
	}
	again, info := backup(t, openTest(t, Options{Dir: dir}))
	if head, tail := len(backupMagic)+8, len(info.Sum); !bytes.Equal(again[head:len(again)-tail], raw[head:len(raw)-tail]) {
		t.Errorf("a backup of what was restored has %d entries, and is not the same", info.Entries)
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
	if _, err := Restore(t.Context(), Options{}, bytes.NewReader(one), RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "no directory given") {
		t.Errorf("Restore = %v, want to be told that there is no name", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("%v is left (%v)", left, err)
	}
	if err := syncDir(filepath.Join(parent, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("syncDir of a missing folder = %v, want %v", err, fs.ErrNotExist)
	}
}
