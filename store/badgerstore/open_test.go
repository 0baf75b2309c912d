// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-threepid/caddy-threepid/store"
)

func TestOpenCreatesPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "sessions")
	openTest(t, Options{Dir: dir})
	for _, d := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode().Perm(), fs.FileMode(0o700); got != want {
			t.Errorf("mode of %s = %o, want %o", d, got, want)
		}
	}
}

func TestOpenTwiceNamesDirectory(t *testing.T) {
	s := openTest(t, Options{})
	_, err := Open(Options{Dir: s.opts.Dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.opts.Dir) {
		t.Fatalf("second Open() = %v, want %v with %q", err, ErrInUse, s.opts.Dir)
	}
	// The first is not harmed, and leaves the directory free.
	write(t, s, "p", "key", "value", time.Time{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: s.opts.Dir})
	if got, err := lookup(again, "p", "key"); got != "value" || err != nil {
		t.Errorf("Get() = %q, %v, want %q, nil", got, err, "value")
	}
}

func TestOpenReportsBadDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if s, err := Open(Options{Dir: dir}); err == nil {
			_ = s.Close()
			t.Errorf("Open(%q) = nil error", dir)
		} else if !strings.Contains(err.Error(), dir) {
			t.Errorf("Open(%q) = %v, which does not name it", dir, err)
		}
	}
}

func TestOpenReportsDamage(t *testing.T) {
	s := openTest(t, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.opts.Dir, badger.ManifestFilename), []byte("not a manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Options{Dir: s.opts.Dir}); err == nil {
		_ = s.Close()
		t.Error("Open() of a damaged database = nil error")
	} else if errors.Is(err, ErrInUse) {
		t.Errorf("Open() of a damaged database = %v", err)
	}
}

// TestOptionsAreKept where they are given, and have the documented defaults.
func TestOptionsAreKept(t *testing.T) {
	given := Options{Dir: "d", Logger: zap.NewExample(), JanitorInterval: -1, CompactMinSize: -2, CompactEvery: 3, MinFreeSpace: 4}
	for _, test := range []struct{ given, want Options }{
		{given, given},
		{Options{Dir: "d"}, Options{Dir: "d", Logger: zap.NewNop(), JanitorInterval: 5 * time.Minute, CompactMinSize: 64 << 20, CompactEvery: time.Hour, MinFreeSpace: 64 << 20}},
	} {
		got, err := test.given.withDefaults()
		if err != nil || got.Clock == nil {
			t.Fatalf("withDefaults() = %v, and a clock: %v", err, got.Clock != nil)
		}
		if got.Clock = nil; !reflect.DeepEqual(got, test.want) {
			t.Errorf("withDefaults() = %+v, want %+v", got, test.want)
		}
	}
}

// TestEngineIsSetUpAsMeasured, where nothing else would show it: what is written
// survives a power cut, memory is small, and no value gets into the value log,
// which nobody clears.
func TestEngineIsSetUpAsMeasured(t *testing.T) {
	type engine struct {
		memtables, tables, stall, compactors, versions int
		sync, conflicts, compactOnClose                bool
	}
	o := Options{Logger: zap.NewNop()}.badger()
	got := engine{o.NumMemtables, o.NumLevelZeroTables, o.NumLevelZeroTablesStall, o.NumCompactors, o.NumVersionsToKeep, o.SyncWrites, o.DetectConflicts, o.CompactL0OnClose}
	if want := (engine{2, 2, 6, 2, 1, true, false, true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if o.ValueThreshold <= headerSize+store.MaxValueSize || o.ValueThreshold <= paddingSize {
		t.Errorf("values of %d bytes go to the value log", o.ValueThreshold)
	}
}

// A sparse file of gigabytes breaks backups that do not know of such.
func TestEmptyStoreLooksSmall(t *testing.T) {
	s := openTest(t, Options{})
	var size int64
	err := filepath.WalkDir(s.opts.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	if limit := int64(100 << 20); err != nil || size > limit {
		t.Errorf("files of an empty store = %d bytes, %v, want at most %d", size, err, limit)
	}
}

// TestCloseTellsWhatFails, as often as it is asked.
func TestCloseTellsWhatFails(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); !errors.Is(err, errEngine) {
			t.Errorf("Close() without its lock = %v, want %v", err, errEngine)
		}
	}
}

func TestCloseEndsGoroutines(t *testing.T) {
	cycle := func() {
		s, err := Open(Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		write(t, s, "p", "key", "value", time.Time{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle() // what libraries start once for all
	before := runtime.NumGoroutine()
	for range 5 {
		cycle()
	}
	deadline := time.Now().Add(2 * time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, want %d:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond) // goroutines end after what they are waited for with
	}
}

func TestLoggerAdapter(t *testing.T) {
	tests := []struct {
		name  string
		log   func(badger.Logger)
		level zapcore.Level
		want  string
	}{
		{"Error", func(l badger.Logger) { l.Errorf("no %s\n", "disk") }, zap.ErrorLevel, "no disk"},
		{"Warning", func(l badger.Logger) { l.Warningf("slow") }, zap.WarnLevel, "slow"},
		{"Info", func(l badger.Logger) { l.Infof("All %d tables opened\n\n", 3) }, zap.DebugLevel, "All 3 tables opened"},
		{"Debug", func(l badger.Logger) { l.Debugf("newline in %s", "argument\n") }, zap.DebugLevel, "newline in argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			l := badgerLogger{zap.New(core)}
			tt.log(l)
			l.Infof("\n") // says nothing
			got := logs.AllUntimed()
			if len(got) != 1 || got[0].Message != tt.want || got[0].Level != tt.level {
				t.Errorf("logged %v, want one %v %q", got, tt.level, tt.want)
			}
		})
	}
}

func TestOpenIsQuietAtInfo(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := openTest(t, Options{Logger: zap.New(core)})
	write(t, s, "p", "key", "value", time.Time{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := logs.AllUntimed(); len(got) != 0 {
		t.Errorf("logged %v, want nothing", got)
	}
}

func TestTranslateHidesBadgerText(t *testing.T) {
	const key = "p/secret-key"
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"not found", badger.ErrKeyNotFound, store.ErrNotFound},
		{"flattened closed", errors.New(`DB::Get key: "` + key + `" err: ` + badger.ErrDBClosed.Error()), store.ErrClosed},
		{"too big", badger.ErrTxnTooBig, store.ErrTooLarge},
		{"flattened disk full", errors.New("write " + key + ": " + syscall.ENOSPC.Error()), syscall.ENOSPC},
		{"wrapped I/O error", &fs.PathError{Op: "sync", Path: key, Err: syscall.EIO}, syscall.EIO},
		{"anything else", errors.New("checksum of " + key), errEngine},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := translate("read badger store", tt.err)
			if !errors.Is(got, tt.want) {
				t.Errorf("translate(%v) = %v, want %v", tt.err, got, tt.want)
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("translate(%v) = %v, which repeats the key", tt.err, got)
			}
		})
	}
	if got := translate("close badger store", nil); got != nil {
		t.Errorf("translate(nil) = %v", got)
	}
}

// costly is an argument that says when it is formatted.
type costly struct{ formatted *bool }

func (c costly) String() string {
	*c.formatted = true
	return "x"
}

// TestWhatIsNotLoggedIsNotFormatted: Badger tells of each commit.
func TestWhatIsNotLoggedIsNotFormatted(t *testing.T) {
	for level, want := range map[zapcore.Level]bool{zap.InfoLevel: false, zap.DebugLevel: true} {
		core, _ := observer.New(level)
		formatted := false
		badgerLogger{zap.New(core)}.Debugf("%s entries written", costly{&formatted})
		if formatted != want {
			t.Errorf("at level %s: formatted %v, want %v", level, formatted, want)
		}
	}
}
