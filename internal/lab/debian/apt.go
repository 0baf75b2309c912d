// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// download returns the files of the packages, which it puts into a directory.
func (s Set) download(ctx context.Context, temp, packages string, logf func(string, ...any)) ([]string, error) {
	names, options, err := s.resolve(ctx, temp, logf)
	if err != nil {
		return nil, err
	}
	if _, err := Run(ctx, packages, nil, "apt-get", append(append(options, "download"), names...)...); err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	if err != nil || len(files) < len(names) {
		return nil, fmt.Errorf("got %d packages of %d", len(files), len(names))
	}
	return files, nil
}

// resolve returns the names of the packages to download, and the options of apt
// to do it with. A machine whose lists are empty, as a container's are, gets
// lists for this one purpose: those of the system are not ours to renew.
func (s Set) resolve(ctx context.Context, temp string, logf func(string, ...any)) (names, options []string, err error) {
	if names, err = s.ask(ctx, temp, nil); err == nil {
		return names, nil, nil
	}
	logf("apt knows no %s (%v); asking the archive what it has", s.Name, err)
	lists, cache := filepath.Join(temp, "lists"), filepath.Join(temp, "cache")
	for _, d := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, nil, fmt.Errorf("make a directory: %w", err)
		}
	}
	options = []string{"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache=" + cache, "-o", "APT::Sandbox::User=root"}
	if _, err := Run(ctx, temp, nil, "apt-get", append(slices.Clone(options), "update")...); err != nil {
		return nil, nil, fmt.Errorf("fetch the lists of packages: %w", err)
	}
	names, err = s.ask(ctx, temp, options)
	return names, options, err
}

// ask has apt tell what it would install.
func (s Set) ask(ctx context.Context, temp string, options []string) ([]string, error) {
	args := append(slices.Clone(options), "install", "--print-uris", "--yes", "--no-install-recommends", "--reinstall")
	out, err := Run(ctx, temp, nil, "apt-get", append(args, s.Packages...)...)
	if err != nil {
		return nil, fmt.Errorf("ask for the packages: %w", err)
	}
	return s.names(out)
}

// names reads what apt-get --print-uris prints: for each file a line of its
// address in quotes, its name, its size, and its digest.
func (s Set) names(uris string) ([]string, error) {
	names := slices.Clone(s.Packages)
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

// Run returns what a program prints; a failure tells what it complained about.
func Run(ctx context.Context, dir string, environ []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"), environ...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(complaint.String()), "\n")
		return "", fmt.Errorf("run %s: %w: %s", filepath.Base(name), err, lines[len(lines)-1])
	}
	return string(out), nil
}
