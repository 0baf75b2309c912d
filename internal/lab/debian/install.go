// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrUnavailable is the outcome of [Set.Install] on a machine that cannot have
// the packages; the message says why. Tests skip on it, and fail on it where CI
// promises these things.
var ErrUnavailable = errors.New("not available on this machine")

// Tree is a directory that holds what packages hold, as it would be below /.
type Tree struct{ Dir string }

// Path is a file of the tree.
func (t Tree) Path(name string) string { return filepath.Join(t.Dir, name) }

// Glob returns what has a name that contains the architecture.
func (t Tree) Glob(pattern string) []string {
	found, err := filepath.Glob(t.Path(pattern))
	if err != nil {
		panic(err) // the patterns are constants
	}
	return found
}

// Libraries is the variable that lets programs find the libraries of the tree,
// first of all those in the directories that are given.
func (t Tree) Libraries(first ...string) string {
	paths := append(first, t.Glob("usr/lib/*-linux-gnu*")...)
	return "LD_LIBRARY_PATH=" + strings.Join(append(paths, t.Glob("lib/*-linux-gnu*")...), ":")
}

// Set are packages that are unpacked together.
type Set struct {
	// Name is what the programs are called.
	Name string
	// Packages are those that are used themselves. Of the others that they
	// depend on, only libraries matter here, and only those that are missing.
	Packages []string
	// Revision counts the changes to what is installed and how.
	Revision string
	// Version runs one of the programs: what cannot be loaded fails there.
	Version func(ctx context.Context, tree Tree) (string, error)
}

// Install returns the tree in the user's cache directory and the version of what
// is in it, making it first if it is not there; that takes a few seconds and
// tells its steps to logf. Where two processes install at the same time, one
// result is kept.
func (s Set) Install(ctx context.Context, logf func(format string, args ...any)) (Tree, string, error) {
	tree, version, err := s.install(ctx, logf)
	if err != nil {
		return Tree{}, "", s.Unavailable(err)
	}
	return tree, version, nil
}

// Unavailable wraps the reason why these programs cannot be had.
func (s Set) Unavailable(reason error) error {
	return fmt.Errorf("%s is %w: %w", strings.ToLower(s.Name), ErrUnavailable, reason)
}

func (s Set) install(ctx context.Context, logf func(string, ...any)) (Tree, string, error) {
	if err := possible(); err != nil {
		return Tree{}, "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Tree{}, "", fmt.Errorf("find the cache directory: %w", err)
	}
	root := filepath.Join(cache, "caddy-threepid")
	tree := Tree{Dir: filepath.Join(root, strings.ToLower(s.Name)+"-"+release()+"-"+s.Revision)}
	if version, err := s.Version(ctx, tree); err == nil {
		return tree, version, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Tree{}, "", fmt.Errorf("make the cache directory: %w", err)
	}
	begun := time.Now()
	if err := s.build(ctx, root, tree, logf); err != nil {
		return Tree{}, "", err
	}
	version, err := s.Version(ctx, tree)
	if err != nil {
		return Tree{}, "", err
	}
	logf("%s %s is unpacked in %s (%s)", s.Name, version, tree.Dir, time.Since(begun).Round(time.Second/10))
	return tree, version, nil
}

// build unpacks the packages, in full or not at all.
func (s Set) build(ctx context.Context, root string, tree Tree, logf func(string, ...any)) error {
	temp, err := os.MkdirTemp(root, strings.ToLower(s.Name)+"-new-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(temp)
	packages, unpacked := filepath.Join(temp, "packages"), filepath.Join(temp, "root")
	if err := os.Mkdir(packages, 0o755); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	logf("downloading %s from Debian", s.Name)
	files, err := s.download(ctx, temp, packages, logf)
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := Run(ctx, temp, nil, "dpkg-deb", "-x", file, unpacked); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	if _, err := s.Version(ctx, tree); err == nil {
		return nil // another process was faster, and uses it
	}
	if err := os.RemoveAll(tree.Dir); err != nil { // what could not be run
		return fmt.Errorf("remove a broken installation: %w", err)
	}
	if err := os.Rename(unpacked, tree.Dir); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("keep the installation: %w", err)
	}
	return nil
}

// possible reports what is missing on this machine.
func possible() error {
	if !supported {
		return errors.New("it needs Linux")
	}
	for _, name := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("it needs Debian's packages: %w", err)
		}
	}
	return nil
}

// release is a name for the system that packages are fit for.
func release() string {
	content, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "unknown"
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = strings.Trim(value, `"'`)
	}
	clean := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return -1
	}
	return strings.Map(clean, fields["ID"]) + strings.Map(clean, fields["VERSION_ID"])
}
