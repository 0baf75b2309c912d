// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Draft is a key file with a fresh key that is on the disk, but not under its
// name: whoever wants one can find out first whether everything else works.
type Draft struct {
	path, tmp string
	made      []string // folders, the outermost first
}

// Prepare writes the draft of a key file. It has to be discarded in any case.
func Prepare(path string) (*Draft, error) {
	dir := filepath.Dir(path)
	d := &Draft{path: path, made: missingFolders(dir)}
	err := step("make folder", func() error { return os.MkdirAll(dir, 0o700) })
	if err != nil {
		err = fmt.Errorf("make folder of key file: %w", err)
	} else {
		d.tmp, err = writeBeside(path, &keyFile{Version: 1, Keys: []fileKey{newKey(1, time.Now())}})
	}
	if err != nil {
		d.Discard()
		return nil, err
	}
	return d, nil
}

// missingFolders are those that MkdirAll is about to make.
func missingFolders(dir string) (missing []string) {
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return missing
		}
		missing = append([]string{dir}, missing...)
		dir = filepath.Dir(dir)
	}
}

// Place makes the draft the key file, and returns what is in the key file then.
// When another process was faster, that is its key, and ours is false. The link
// makes the complete file appear in one step, which a rename would too, but a
// rename would replace the other one's key.
func (d *Draft) Place() (ring *Ring, ours bool, err error) {
	err = step("link", func() error { return os.Link(d.tmp, d.path) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, fmt.Errorf("place key file: %w", err)
	}
	ours = err == nil
	// The other one's name may not have reached the disk, and its key is about to
	// be used. A folder that is new is a name, too.
	for _, name := range append(d.made, d.path) {
		if err := syncFolder(name); err != nil {
			return nil, ours, err
		}
	}
	ring, err = Load(d.path)
	return ring, ours, err
}

// Discard removes what is not the key file. Folders with the key file in them, or
// that somebody else uses meanwhile, are not empty, and stay.
func (d *Draft) Discard() {
	_ = step("remove", func() error { return os.Remove(d.tmp) }) // if it was written; the next rotation tries again
	for _, dir := range slices.Backward(d.made) {
		_ = os.Remove(dir)
	}
}
