// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages are what is installed: the browser, and a font that has Latin,
// Cyrillic, Arabic and Hebrew letters.
var packages = []string{"chromium", "fonts-dejavu-core"}

// installSystem installs the packages for the whole machine. Another apt-get
// may be at work, so the lock is waited for.
func installSystem(ctx context.Context, apt string) error {
	wait := []string{"-q", "-y", "-o", "DPkg::Lock::Timeout=300"}
	install := slices.Concat(wait, []string{"install", "--no-install-recommends"}, packages)
	if run(ctx, "/", apt, install...) == nil {
		return nil
	}
	// The lists may be missing or too old.
	if err := run(ctx, "/", apt, slices.Concat(wait, []string{"update"})...); err != nil {
		return err
	}
	return run(ctx, "/", apt, install...)
}

// unpacked is a browser in a directory of the user's, with those of its
// libraries that the machine does not have.
type unpacked struct {
	dir string
	// status is dpkg's list of what the machine has.
	status string
}

const dpkgStatus = "/var/lib/dpkg/status"

// root is where the packages are unpacked.
func (u unpacked) root() string { return filepath.Join(u.dir, "root") }

// env describes the browser; ok is false when it is not there, or does not run.
func (u unpacked) env(ctx context.Context) (Env, bool) {
	program := filepath.Join(u.root(), "usr", "lib", "chromium", "chromium")
	if _, err := os.Stat(program); err != nil {
		return Env{}, false
	}
	libraries := []string{filepath.Dir(program)}
	for _, pattern := range []string{"lib/*-linux-gnu*", "usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/*"} {
		found, err := filepath.Glob(filepath.Join(u.root(), filepath.FromSlash(pattern)))
		if err != nil {
			continue
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				libraries = append(libraries, path)
			}
		}
	}
	return probe(ctx, Env{Program: program, Environ: []string{
		"LD_LIBRARY_PATH=" + strings.Join(libraries, ":"),
		"FONTCONFIG_FILE=" + u.fonts(),
	}})
}

// fonts is a configuration that finds the machine's fonts and ours.
func (u unpacked) fonts() string { return filepath.Join(u.dir, "fonts.conf") }

// make downloads the packages, with all that they depend on and the machine
// does not have, and unpacks them. apt-get resolves that as it would for an
// installation; only the place where it keeps its files is ours.
func (u unpacked) make(ctx context.Context, apt string, logf func(string, ...any)) error {
	state, archives := filepath.Join(u.dir, "apt", "state"), filepath.Join(u.dir, "apt", "cache", "archives")
	if err := os.RemoveAll(u.dir); err != nil {
		return fmt.Errorf("remove a torn installation: %w", err)
	}
	for _, dir := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(archives, "partial"), u.root()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("%w: make the installation: %w", ErrUnavailable, err)
		}
	}
	ours := []string{
		"-q", "-y", "-o", "Dir::State=" + state, "-o", "Dir::State::status=" + u.status,
		"-o", "Dir::Cache=" + filepath.Dir(archives), "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
	}
	logf("chromium: reading the lists of Debian's archive")
	if err := run(ctx, u.dir, apt, slices.Concat(ours, []string{"update"})...); err != nil {
		return err
	}
	logf("chromium: downloading Debian's packages")
	download := slices.Concat(ours, []string{"install", "--download-only", "--no-install-recommends"}, packages)
	if err := run(ctx, u.dir, apt, download...); err != nil {
		return err
	}
	logf("chromium: unpacking")
	if err := u.unpack(ctx, archives); err != nil {
		return err
	}
	config := `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>/usr/share/fonts</dir>
<dir>` + filepath.Join(u.root(), "usr", "share", "fonts") + `</dir>
<cachedir>` + filepath.Join(u.dir, "fontconfig") + `</cachedir>
</fontconfig>
`
	if err := os.WriteFile(u.fonts(), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the configuration of fonts: %w", err)
	}
	// The packages have done their work.
	return os.RemoveAll(filepath.Join(u.dir, "apt"))
}

// unpack unpacks every package below archives.
func (u unpacked) unpack(ctx context.Context, archives string) error {
	entries, err := os.ReadDir(archives)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find the packages: %w", err)
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".deb" {
			continue
		}
		if err := run(ctx, u.dir, "dpkg-deb", "--extract", filepath.Join(archives, entry.Name()), u.root()); err != nil {
			return err
		}
	}
	return nil
}
