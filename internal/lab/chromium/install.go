// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// ErrUnavailable is the outcome of [Install] and [Axe] on a machine that cannot
// have them: no apt-get, or Debian's archive or npm's registry out of reach.
// Tests skip on it, and fail on it where CI promises these things.
var ErrUnavailable = errors.New("the browser is not available on this machine")

// names are what a browser of this kind is called, Debian's first.
var names = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"}

// Env is an installed browser.
type Env struct {
	// Program is the browser.
	Program string
	// Environ is what it needs besides our own environment.
	Environ []string
	// Version is what it calls itself.
	Version string
}

// Install returns the browser of this machine, or gets one first; that takes up
// to some minutes and tells its steps to logf. Processes that install at the
// same time wait for one another.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	if env, ok := find(ctx); ok {
		return env, nil
	}
	if !sys.Supported { // there is no apt-get on such a system anyway
		return Env{}, fmt.Errorf("%w: it needs a Unix", ErrUnavailable)
	}
	dir, err := cacheDir()
	if err != nil {
		return Env{}, err
	}
	unlock, err := sys.LockFile(ctx, filepath.Join(dir, "chromium.lock"))
	if err != nil {
		return Env{}, fmt.Errorf("lock the installation: %w", err)
	}
	defer unlock()
	if env, ok := find(ctx); ok { // by whoever held the lock before us
		return env, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return Env{}, fmt.Errorf("%w: there is no Chromium, and no apt-get to get one with", ErrUnavailable)
	}
	if os.Geteuid() == 0 {
		logf("chromium: installing Debian's package")
		if err := installSystem(ctx, apt); err != nil {
			logf("chromium: %v", err)
		} else if env, ok := find(ctx); ok {
			return env, nil
		}
	}
	u := unpacked{dir: filepath.Join(dir, "chromium"), status: dpkgStatus}
	if env, ok := u.env(ctx); ok {
		return env, nil
	}
	if err := u.make(ctx, apt, logf); err != nil {
		return Env{}, err
	}
	env, ok := u.env(ctx)
	if !ok {
		return Env{}, fmt.Errorf("%w: the unpacked browser does not run", ErrUnavailable)
	}
	return env, nil
}

// cacheDir is where downloads are kept between runs.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: find the cache directory: %w", ErrUnavailable, err)
	}
	dir := filepath.Join(cache, "caddy-threepid")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("%w: make the cache directory: %w", ErrUnavailable, err)
	}
	return dir, nil
}

// find looks for a browser that runs. Some systems have a program of the name
// that only tells how to get the real one.
func find(ctx context.Context) (Env, bool) {
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if env, ok := probe(ctx, Env{Program: path}); ok {
			return env, true
		}
	}
	return Env{}, false
}

// probe asks a browser for its version.
func probe(ctx context.Context, env Env) (Env, bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, env.Program, "--version")
	cmd.Env = append(os.Environ(), env.Environ...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	env.Version = strings.TrimSpace(string(out))
	return env, err == nil && strings.Contains(env.Version, "Chrom")
}

// run runs one step of an installation. A failure wraps [ErrUnavailable] and
// quotes the end of what was printed, unless it was ctx that ended it.
func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s %s: %w\n%s", ErrUnavailable, filepath.Base(program), strings.Join(args, " "), err, &out)
}
