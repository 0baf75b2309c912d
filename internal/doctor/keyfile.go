// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyFile looks at the file, and at what is in it if somebody can tell.
func (s *session) keyFile(ctx context.Context, r *results) {
	k := s.opts.KeyFile
	info, err := os.Stat(k.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.report(codeKeyMissing, "The key file is gone; the next start will be refused, because nothing in the store can be read without it.")
		return
	case err != nil:
		r.report(codeKeyUnreadable, "The key file cannot be looked at: %s.", cause(err))
		return
	case !info.Mode().IsRegular():
		r.report(codeKeyUnreadable, "The key file is not an ordinary file.")
		return
	}
	if mode := info.Mode().Perm(); hasModes && mode != 0o600 && mode != 0o400 {
		r.report(codeKeyMode, "The key file has the mode %s, so that others than its owner may use it.", mode)
	}
	want := os.Geteuid()
	if k.UID != nil {
		want = *k.UID
	}
	if owner, ok := ownerOf(info); ok && owner != want {
		r.report(codeKeyOwner, "The key file belongs to the user with the number %d, and we are %d.", owner, want)
	}
	if within(k.Path, k.StorePath) {
		r.report(codeKeyBesideStore, "The key file lies in the store's folder, so that a copy of the folder holds both the lock and the key.")
	}
	if k.State != nil {
		k.state(ctx, r)
	}
}

func (k *KeyFile) state(ctx context.Context, r *results) {
	state, err := k.State(ctx)
	switch {
	case err != nil:
		r.report(codeKeyUnusable, "The key file cannot be used: %s.", strings.TrimRight(cause(err).Error(), "."))
	case state.Other:
		r.report(codeKeyOther, "The key file is not the one with which this server runs; the next start will be refused.")
	case !state.Copied:
		r.report(codeKeyNotCopied, "No copy of the key file is known that has every key; without the file, the store is worthless.")
	}
}

// cause leaves the path out, which is the subject.
func cause(err error) error {
	if perr, ok := errors.AsType[*fs.PathError](err); ok {
		return perr.Err
	}
	return err
}

// within reports whether a file lies in a folder or below, links followed.
func within(file, folder string) bool {
	if folder == "" {
		return false
	}
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false
	}
	folder, err = filepath.EvalSymlinks(folder)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(folder, file)
	return err == nil && filepath.IsLocal(rel)
}
