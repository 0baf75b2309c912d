// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

var errDisk = errors.New("the disk is broken")

// trip notes what is done to the disk, and lets one of it fail: instead of being
// done, or after it was.
type trip struct {
	at    int // -1: none
	after bool
	err   error
	steps []string
}

func (d *trip) step(what string, do func() error) error {
	d.steps = append(d.steps, what)
	if strings.HasPrefix(what, "sync") {
		do = func() error { return nil } // which shows after a power cut only
	}
	if len(d.steps)-1 != d.at {
		return do()
	}
	if d.after {
		_ = do()
	}
	return d.err
}

func (d *trip) over(journey func()) {
	defer keyring.Between(d.step)()
	journey()
}

// strangers are in the folder of a key file, and nobody's to delete. They are old,
// and one of them is a folder that is empty.
var strangers = []string{"keys.json.old", "keys.json~", ".keys", "keys-2020", "z.keys-", ".keys-folder/"}

// abandon makes old files, or folders, that nobody uses.
func abandon(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		hourAgo := time.Now().Add(-time.Hour)
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, []byte("not a whole key file"), 0o600)
		}
		if err = errors.Join(err, os.Chtimes(path, hourAgo, hourAgo)); err != nil {
			t.Fatal(err)
		}
	}
}

// below is all that is in a folder, folders with a slash at their end.
func below(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err == nil && d.IsDir() {
			name += "/"
		}
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names[1:]
}

// journeys are those to a key file, each with what it does to the disk, in its order:
// a file is on the disk before it has its name, and so is the name before it is used.
var journeys = []struct {
	name, file string
	keys       int // in the file before
	run        func(path string) (*keyring.Ring, error)
	steps      string
}{
	{"first key", "a/b/keys.json", 0, keyring.LoadOrCreate, "make folder, create, write, sync, close, link, " +
		"open folder, sync folder, open folder, sync folder, open folder, sync folder, remove"},
	{"key file that is there", "keys.json", 1, keyring.LoadOrCreate, ""},
	{
		"rotation", "keys.json", 1, func(path string) (*keyring.Ring, error) { return keyring.Rotate(path, time.Now()) },
		"open, lock, remove, create, write, sync, close, rename, open folder, sync folder",
	},
	{"drop", "keys.json", 2, func(path string) (*keyring.Ring, error) {
		return keyring.Drop(path, func(keyring.KeyInfo) bool { return true })
	}, "open, lock, remove, create, write, sync, close, rename, open folder, sync folder"},
	{"drop of nothing", "keys.json", 2, func(path string) (*keyring.Ring, error) {
		return keyring.Drop(path, func(keyring.KeyInfo) bool { return false })
	}, "open, lock"},
}

// TestEveryStepToAKeyFileCanFail once: no key is used of which the disk may know
// nothing, the key file is the old one or the new one, whole, nothing else is there
// or gone, and what has failed can be tried again.
func TestEveryStepToAKeyFileCanFail(t *testing.T) {
	for _, j := range journeys {
		prepare := func(t *testing.T) (dir, path string, before []byte) {
			dir = t.TempDir()
			path = filepath.Join(dir, j.file)
			(&trip{at: -1}).over(func() {
				for n := range j.keys {
					if _, err := keyring.LoadOrCreate(path); err != nil {
						t.Fatal(err)
					}
					if n > 0 {
						rotated(t, path, time.Now())
					}
				}
			})
			abandon(t, dir, append(strangers, ".keys-left")...) // the last is an old draft
			before, _ = os.ReadFile(path)
			return dir, path, before
		}
		all := trip{at: -1}
		_, path, _ := prepare(t)
		all.over(func() {
			if _, err := j.run(path); err != nil {
				t.Errorf("%s: %v", j.name, err)
			}
		})
		if got := strings.Join(all.steps, ", "); got != j.steps {
			t.Errorf("%s takes the steps\n%s\nwant\n%s", j.name, got, j.steps)
		}
		named := slices.IndexFunc(all.steps, func(s string) bool { return s == "link" || s == "rename" })
		for at, what := range all.steps {
			for _, after := range []bool{false, true} {
				if after && (what == "create" || strings.HasPrefix(what, "open")) {
					continue // of which nobody else knows when they have failed
				}
				t.Run(fmt.Sprintf("%s/%d %s/after it was done %v", j.name, at, what, after), func(t *testing.T) {
					dir, path, before := prepare(t)
					broken := trip{at: at, after: after, err: errDisk}
					broken.over(func() {
						ring, err := j.run(path)
						if what == "remove" { // the next rotation tries again
							if err != nil {
								t.Errorf("got %v for a file that stays", err)
							}
						} else if !errors.Is(err, errDisk) || ring != nil {
							t.Errorf("got %v, %v, want no keys, and what has failed", ring, err)
						}
					})
					whole(t, path, before, what == "remove" || named >= 0 && (at > named || after && at == named))
					left(t, dir, path, what == "remove" && !after)
					(&trip{at: -1}).over(func() {
						ring, err := j.run(path)
						if err != nil {
							t.Fatalf("tried again: %v", err)
						}
						if onDisk, err := keyring.Load(path); err != nil || !slices.Equal(onDisk.Marks(), ring.Marks()) {
							t.Errorf("tried again: the file has other keys than are used (%v)", err)
						}
					})
				})
			}
		}
	}
}

// whole checks that a key file is the one of before, or one with the key in use of
// before in it. Without one, there is none.
func whole(t *testing.T, path string, before []byte, changed bool) {
	t.Helper()
	after, err := os.ReadFile(path)
	if !changed {
		if string(after) != string(before) || (err == nil) != (before != nil) {
			t.Errorf("the key file is not that of before (%v)", err)
		}
		return
	}
	if string(after) == string(before) {
		t.Error("the key file is that of before")
	}
	now, err := keyring.Load(path)
	if err != nil {
		t.Fatalf("the key file: %v", err)
	}
	if before == nil {
		return
	}
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if was, err := keyring.Load(old); err != nil || !now.Knows(was) {
		t.Errorf("the key in use is lost (%v)", err)
	}
}

// left checks that a folder has the strangers, and nothing new but the key file. A
// draft may be left where removing it has failed.
func left(t *testing.T, dir, path string, draft bool) {
	t.Helper()
	names := below(t, dir)
	for _, name := range strangers {
		if !slices.Contains(names, name) {
			t.Errorf("%s is gone, which is not ours", name)
		}
	}
	_, err := os.Lstat(path)
	file, _ := filepath.Rel(dir, path)
	for _, name := range names {
		ours := err == nil && (name == file || strings.HasSuffix(name, "/") && strings.HasPrefix(file, name))
		if !ours && !slices.Contains(strangers, name) && name != ".keys-left" && !(draft && strings.Contains(name, ".keys-")) {
			t.Errorf("%s was left", name)
		}
	}
}

// TestWhatTheDiskItselfRefuses is told, with what was to be done.
func TestWhatTheDiskItselfRefuses(t *testing.T) {
	for at, test := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"open":   {os.Remove, "open key file"},
		"create": {func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, "create key file"},
		"rename": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "place key file"},
	} {
		path, _ := made(t)
		undo := keyring.Between(func(what string, do func() error) error {
			if what == at {
				if err := test.spoil(path); err != nil {
					t.Error(err)
				}
			}
			return do()
		})
		ring, err := keyring.Rotate(path, time.Now())
		if undo(); ring != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, %v, want %q", at, ring, err, test.want)
		}
	}
}

// TestFoldersThatCannotBeSynced are those of some file systems, which need not.
func TestFoldersThatCannotBeSynced(t *testing.T) {
	for _, refusal := range []error{errors.ErrUnsupported, syscall.EINVAL} {
		path, first := made(t)
		d := trip{at: 8, err: refusal}
		d.over(func() {
			if ring, err := keyring.Rotate(path, time.Now()); err != nil || !ring.Knows(first) {
				t.Errorf("%v: got %v, want the folder to be left alone", refusal, err)
			}
		})
		if d.steps[d.at] != "sync folder" {
			t.Fatalf("got step %q, want that of the folder", d.steps[d.at])
		}
	}
}

// TestLocksThatAreDisturbed by a signal, or by what others do to the file meanwhile.
func TestLocksThatAreDisturbed(t *testing.T) {
	path, first := made(t)
	signal := trip{at: 1, err: syscall.EINTR}
	signal.over(func() {
		if ring, err := keyring.Rotate(path, time.Now()); err != nil || !ring.Knows(first) {
			t.Errorf("a signal: got %v, want it to wait on", err)
		}
	})
	var steps []string
	meanwhile := func(what string, act func() error) {
		t.Helper()
		defer keyring.Between(func(step string, do func() error) error {
			steps = append(steps, step)
			if do := act; step == what && do != nil {
				act = nil
				if err := do(); err != nil {
					t.Error(err)
				}
			}
			return do()
		})()
		ring, err := keyring.Rotate(path, time.Now())
		if _, gone := os.Stat(path); gone != nil {
			if !errors.Is(err, fs.ErrNotExist) || ring != nil {
				t.Errorf("a key file that went: got %v, %v, want it to be missed", ring, err)
			}
			return
		}
		if err != nil || !ring.Knows(first) {
			t.Errorf("%s: got %v, want the key of before to be known", what, err)
		}
	}
	// Another process has cleaned up, too.
	abandon(t, filepath.Dir(path), ".keys-1", ".keys-2")
	meanwhile("remove", func() error { return os.Remove(filepath.Join(filepath.Dir(path), ".keys-2")) })
	// Another process has rotated: whoever gets the lock then has that of a file that is no more.
	steps = nil
	meanwhile("lock", func() error {
		_, err := keyring.Rotate(path, time.Now())
		return err
	})
	if got := strings.Count(strings.Join(steps, " "), "open lock"); got != 3 {
		t.Errorf("got the steps %q, want a lock for the other, and two for this one", steps)
	}
	meanwhile("lock", func() error { return os.Remove(path) })
}

// TestTheFileOfAFasterProcess is on the disk before its key is used, whoever has made it.
func TestTheFileOfAFasterProcess(t *testing.T) {
	theirs, _ := made(t)
	raw, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	for _, fails := range []string{"", "open folder", "sync folder"} {
		path := filepath.Join(t.TempDir(), "keys.json")
		restore := keyring.Between(func(what string, do func() error) error {
			switch what {
			case "link":
				if err := os.WriteFile(path, raw, 0o600); err != nil {
					t.Error(err)
				}
			case fails:
				return errDisk
			}
			return do()
		})
		ring, err := keyring.LoadOrCreate(path)
		if restore(); fails == "" && err != nil || fails != "" && (!errors.Is(err, errDisk) || ring != nil) {
			t.Errorf("%q fails: got %v, %v, want no keys, and what has failed", fails, ring, err)
		}
	}
}
