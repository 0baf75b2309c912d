// SPDX-License-Identifier: Apache-2.0

package dendrite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// Version is the version of Dendrite that is installed and run.
const Version = "0.13.8"

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Dendrite. The message says why. Tests skip on it, and fail on it where CI
// promises these things.
var ErrUnavailable = errors.New("not available on this machine")

// programs are what is built: the server, and what makes its signing key.
var programs = []string{"dendrite", "generate-keys"}

// module is where they are.
const module = "github.com/matrix-org/dendrite/cmd/"

// Env is an installed Dendrite.
type Env struct {
	// Dir holds the programs.
	Dir string
}

// marker is written last: an installation without it is a torn one.
func (e Env) marker() string { return filepath.Join(e.Dir, "complete") }

func (e Env) program(name string) string { return filepath.Join(e.Dir, name) }

// installed reports whether e is complete.
func (e Env) installed() bool {
	for _, path := range append([]string{e.marker()}, e.program(programs[0]), e.program(programs[1])) {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// Install returns the Dendrite in the user's cache directory, building it first
// if it is not there; it tells so to logf. Processes that install at the same
// time wait for one another. An error wraps [ErrUnavailable] when this machine
// cannot have Dendrite.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	// It has to end with the process that has started it.
	if runtime.GOOS != "linux" {
		return Env{}, fmt.Errorf("dendrite is %w: it is run on Linux only", ErrUnavailable)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Env{}, fmt.Errorf("dendrite is %w: find the cache directory: %w", ErrUnavailable, err)
	}
	return installBelow(ctx, filepath.Join(cache, "caddy-threepid"), logf)
}

func installBelow(ctx context.Context, root string, logf func(format string, args ...any)) (Env, error) {
	env := Env{filepath.Join(root, "dendrite-"+Version+"-"+runtime.GOOS+"-"+runtime.GOARCH)}
	if env.installed() {
		return env, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Env{}, fmt.Errorf("dendrite is %w: make the cache directory: %w", ErrUnavailable, err)
	}
	unlock, err := sys.LockFile(ctx, env.Dir+".lock")
	if err != nil {
		return Env{}, fmt.Errorf("lock the installation: %w", err)
	}
	defer unlock()
	if env.installed() { // by whoever held the lock before us
		return env, nil
	}
	begun := time.Now()
	logf("building Dendrite %s, which takes minutes", Version)
	if err := env.build(ctx); err != nil {
		return Env{}, err
	}
	logf("Dendrite %s is installed in %s (%s)", Version, env.Dir, time.Since(begun).Round(time.Second))
	return env, nil
}

// build makes env from nothing, throwing away what an interrupted build left.
func (e Env) build(ctx context.Context) error {
	if err := os.RemoveAll(e.Dir); err != nil {
		return fmt.Errorf("remove a torn installation: %w", err)
	}
	args := []string{"install", "-trimpath"}
	for _, name := range programs {
		args = append(args, module+name+"@v"+Version)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = os.TempDir() // in no module
	cmd.Env = buildEnv(os.Environ(), e.Dir)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build dendrite: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("dendrite is %w: build it: %w\n%s", ErrUnavailable, err, tail(string(out), 15))
	}
	if err := os.WriteFile(e.marker(), []byte(Version+"\n"), 0o600); err != nil {
		return fmt.Errorf("mark the installation as complete: %w", err)
	}
	return nil
}

// buildEnv is the environment of the go command: the caller's, without what is
// meant for the caller's own module. Without cgo the SQLite is one in Go.
func buildEnv(environ []string, bin string) []string {
	own := []string{"GOFLAGS", "GOBIN", "GOOS", "GOARCH", "GOWORK", "GO111MODULE", "CGO_ENABLED"}
	clean := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(own, name)
	})
	return append(clean, "GOBIN="+bin, "GOWORK=off", "CGO_ENABLED=0")
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
