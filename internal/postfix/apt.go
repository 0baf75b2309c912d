// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the packages that are used themselves. Of the others that they
// depend on, only libraries matter here, and only those that are missing.
var wanted = []string{"postfix", "sasl2-bin", "libsasl2-modules", "libsasl2-modules-db"}

// build unpacks the packages at dir, in full or not at all.
func build(ctx context.Context, root, dir string, logf func(string, ...any)) error {
	temp, err := os.MkdirTemp(root, "postfix-new-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := os.Mkdir(filepath.Join(temp, "packages"), 0o755); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	logf("downloading Postfix from Debian")
	names, options, err := resolve(ctx, temp, logf)
	if err != nil {
		return err
	}
	packages := filepath.Join(temp, "packages")
	if _, err := run(ctx, packages, nil, "apt-get", append(append(options, "download"), names...)...); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	if err != nil || len(files) < len(names) {
		return fmt.Errorf("got %d packages of %d", len(files), len(names))
	}
	unpacked := filepath.Join(temp, "root")
	for _, file := range files {
		if _, err := run(ctx, temp, nil, "dpkg-deb", "-x", file, unpacked); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	if _, err := version(ctx, Env{Dir: dir}); err == nil {
		return nil // another process was faster, and uses it
	}
	if err := os.RemoveAll(dir); err != nil { // what could not be run
		return fmt.Errorf("remove a broken installation: %w", err)
	}
	if err := os.Rename(unpacked, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("keep the installation: %w", err)
	}
	return nil
}

// resolve returns the names of the packages to download, and the options of apt
// to do it with. A machine whose lists are empty, as a container's are, gets
// lists for this one purpose: those of the system are not ours to renew.
func resolve(ctx context.Context, temp string, logf func(string, ...any)) (names, options []string, err error) {
	if names, err = ask(ctx, temp, nil); err == nil {
		return names, nil, nil
	}
	logf("apt knows no Postfix (%v); asking the archive what it has", err)
	lists, cache := filepath.Join(temp, "lists"), filepath.Join(temp, "cache")
	for _, d := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, nil, fmt.Errorf("make a directory: %w", err)
		}
	}
	options = []string{"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache=" + cache, "-o", "APT::Sandbox::User=root"}
	if _, err := run(ctx, temp, nil, "apt-get", append(slices.Clone(options), "update")...); err != nil {
		return nil, nil, fmt.Errorf("fetch the lists of packages: %w", err)
	}
	names, err = ask(ctx, temp, options)
	return names, options, err
}

// ask has apt tell what it would install.
func ask(ctx context.Context, temp string, options []string) ([]string, error) {
	args := append(slices.Clone(options), "install", "--print-uris", "--yes", "--no-install-recommends", "--reinstall")
	out, err := run(ctx, temp, nil, "apt-get", append(args, wanted...)...)
	if err != nil {
		return nil, fmt.Errorf("ask for the packages: %w", err)
	}
	return packageNames(out)
}

// packageNames reads what apt-get --print-uris prints: for each file a line of
// its address in quotes, its name, its size, and its digest.
func packageNames(uris string) ([]string, error) {
	names := slices.Clone(wanted)
	for line := range strings.Lines(uris) {
		quoted, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		address, ok := strings.CutPrefix(quoted, "'")
		if !ok {
			continue // a remark
		}
		u, err := url.Parse(strings.TrimSuffix(address, "'"))
		if err != nil || !strings.HasSuffix(u.Path, ".deb") {
			return nil, fmt.Errorf("apt answered %q", line)
		}
		name, _, _ := strings.Cut(path.Base(u.Path), "_")
		if strings.HasPrefix(name, "lib") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
