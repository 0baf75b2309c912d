// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MaxKeys bounds the keys of a file. Each costs a look-up wherever something
// of before a rotation could be.
const MaxKeys = 8

// ErrTooManyKeys refuses a rotation until old keys have been dropped.
var ErrTooManyKeys = fmt.Errorf("the key file has %d keys, and no room for another until old ones are dropped", MaxKeys)

// errUnchanged ends an edit that has nothing to do.
var errUnchanged = errors.New("nothing to change")

// Rotate puts a new key in front of those in a file, and returns what the file
// then holds. The file changes in one step: whenever the process dies, there
// is the old one or the new one, whole.
func Rotate(path string, now time.Time) (*Ring, error) {
	return edit(path, func(f *keyFile, _ *Ring) error {
		if len(f.Keys) >= MaxKeys {
			return ErrTooManyKeys
		}
		f.Keys = slices.Insert(f.Keys, 0, newKey(f.freeID(), now))
		return nil
	})
}

// Drop takes keys out of a file, of which the one in use stays whatever gone
// says, and returns what the file then holds. A key that is not there any more
// is none of those asked about.
func Drop(path string, gone func(KeyInfo) bool) (*Ring, error) {
	return edit(path, func(f *keyFile, ring *Ring) error {
		before := len(f.Keys)
		for i, k := range slices.Backward(ring.Keys()) {
			if i > 0 && gone(k) {
				f.Keys = slices.Delete(f.Keys, i, i+1)
			}
		}
		if len(f.Keys) == before {
			return errUnchanged
		}
		return nil
	})
}

// freeID is an id that no key has. Ids are told from each other, and mean
// nothing else.
func (f *keyFile) freeID() byte {
	id := f.Keys[0].ID + 1
	for slices.ContainsFunc(f.Keys, func(k fileKey) bool { return k.ID == id }) {
		id++
	}
	return id
}

// edit changes a key file, one process at a time. What another process has
// written since this one has read the file is kept.
func edit(path string, change func(*keyFile, *Ring) error) (*Ring, error) {
	// A link stays a link, and the file that it leads to is replaced.
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("find key file: %w", err)
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	ring, err := f.ring(path)
	if err != nil { // it must be in order before it is touched
		return nil, err
	}
	if err := change(f, ring); errors.Is(err, errUnchanged) {
		return ring, nil
	} else if err != nil {
		return nil, err
	}
	if err := replace(path, f); err != nil {
		return nil, err
	}
	return f.ring(path)
}

// replace writes a key file in the place of the one that is there.
func replace(path string, f *keyFile) error {
	removeLeftovers(filepath.Dir(path))
	tmp, err := writeBeside(path, f)
	if err != nil {
		return err
	}
	if err := step("rename", func() error { return os.Rename(tmp, path) }); err != nil {
		return errors.Join(fmt.Errorf("place key file: %w", err), os.Remove(tmp))
	}
	return syncFolder(path)
}

// removeLeftovers removes what processes that were killed have left: files with
// keys in them. Files that are young may be those of another process.
func removeLeftovers(dir string) {
	entries, _ := os.ReadDir(dir) // or writing will fail, and say why
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), tempPrefix) && time.Since(info.ModTime()) > time.Minute {
			_ = step("remove", func() error { return os.Remove(filepath.Join(dir, e.Name())) }) // the next rotation tries again
		}
	}
}
