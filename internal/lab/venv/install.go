// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// ErrUnavailable is the outcome of [Recipe.Install] on a machine that cannot
// have the server: no suitable Python, no venv, PyPI out of reach. The message
// says which. Tests skip on it, and fail on it where CI promises these things.
var ErrUnavailable = errors.New("not available on this machine")

// The requirements that every recipe has among its files.
const (
	// requirements are installed as wheels.
	requirements = "requirements.txt"
	// sources are installed after them, each with a digest that is checked,
	// and without build isolation: what builds them is among the requirements.
	// A recipe all of wheels has none.
	sources = "sources.txt"
)

// Recipe says what an environment consists of.
type Recipe struct {
	// Name and Version are those of the server.
	Name, Version string
	// Revision counts the changes to the way it is installed, so that an
	// environment made the old way is not taken for a current one.
	Revision string
	// Oldest is the minor version of the oldest Python 3 that will do, 9 if
	// there is none.
	Oldest int
	// Data holds Files: requirements.txt, sources.txt if not all are wheels, and
	// modules that are put where every Python of the environment finds them.
	Data  fs.FS
	Files []string
	// Check is a program that fails unless the server can be loaded: a Python
	// we have never met fails here, not in a test.
	Check string
}

// Env is an installed server.
type Env struct {
	// Version is that of the server.
	Version string
	// Dir holds everything that was installed.
	Dir string
	// Python is the interpreter of the virtual environment.
	Python string
}

// shims returns the directory that must be on PYTHONPATH.
func (e Env) shims() string { return filepath.Join(e.Dir, "shims") }

// marker is written last: an environment without it is a torn one.
func (e Env) marker() string { return filepath.Join(e.Dir, "complete") }

// installed reports whether e is complete.
func (e Env) installed() bool {
	_, err := os.Stat(e.marker())
	if err == nil {
		_, err = os.Stat(e.Python)
	}
	return err == nil
}

// Environ returns the variables that Python needs to run the environment's
// programs, and no others from the family of this process's own.
func (e Env) Environ() []string {
	return append(cleanEnv(os.Environ()), "PYTHONPATH="+e.shims())
}

// Install returns the environment in the user's cache directory, making it
// first if it is not there; it tells the steps of that to logf. An error wraps
// [ErrUnavailable] when this machine cannot have it.
func (r Recipe) Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	if !sys.Supported {
		return Env{}, fmt.Errorf("%s is %w: it needs Linux, macOS or a BSD", r.Name, ErrUnavailable)
	}
	py, err := findPython(ctx, cmp.Or(r.Oldest, oldestMinor))
	if err != nil {
		return Env{}, fmt.Errorf("%s is %w", r.Name, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Env{}, fmt.Errorf("%s is %w: find the cache directory: %w", r.Name, ErrUnavailable, err)
	}
	env, err := r.locate(filepath.Join(cache, "caddy-threepid"), py)
	if err != nil {
		return Env{}, err
	}
	if env.installed() {
		return env, nil
	}
	if err := os.MkdirAll(filepath.Dir(env.Dir), 0o755); err != nil {
		return Env{}, fmt.Errorf("%s is %w: make the cache directory: %w", r.Name, ErrUnavailable, err)
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
	if err := r.build(ctx, env, py, logf); err != nil {
		return Env{}, err
	}
	logf("%s %s is installed in %s (%s)", r.Name, r.Version, env.Dir, time.Since(begun).Round(time.Second/10))
	return env, nil
}

// locate names the environment for py below root. The name changes with
// everything the content depends on, so that nothing is ever updated in place.
func (r Recipe) locate(root string, py interpreter) (Env, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n", r.Revision, py.Executable, py.version(), py.Platform)
	for _, name := range r.Files {
		content, err := fs.ReadFile(r.Data, name)
		if err != nil {
			return Env{}, fmt.Errorf("read the recipe: %w", err)
		}
		fmt.Fprintf(sum, "%d\n%s", len(content), content)
	}
	dir := filepath.Join(root, r.Name+"-"+r.Version+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	return Env{Version: r.Version, Dir: dir, Python: filepath.Join(dir, "venv", "bin", "python")}, nil
}

// step is one of those that make an environment.
type step struct {
	what string
	argv []string
}

// build makes env from nothing, throwing away what an interrupted build left.
func (r Recipe) build(ctx context.Context, env Env, py interpreter, logf func(string, ...any)) error {
	if err := os.RemoveAll(env.Dir); err != nil {
		return fmt.Errorf("remove a torn installation: %w", err)
	}
	if err := r.writeFiles(env); err != nil {
		return fmt.Errorf("%s is %w: write the installation: %w", r.Name, ErrUnavailable, err)
	}
	// pip compiles what it installs, and must: Synapse forbids Python to do it
	// (synapse/app/__init__.py), and every start would take twice as long.
	pip := func(args ...string) []string {
		return append([]string{
			env.Python, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install",
			"--no-deps", "--retries", "2",
		}, args...)
	}
	steps := []step{
		{
			"making a virtual environment with Python " + py.version(),
			[]string{py.Executable, "-m", "venv", filepath.Join(env.Dir, "venv")},
		},
		{
			"fetching its wheels from PyPI",
			pip("--only-binary", ":all:", "-r", filepath.Join(env.Dir, requirements)),
		},
	}
	if slices.Contains(r.Files, sources) {
		steps = append(steps, step{
			"fetching " + r.Name + " " + r.Version + " from PyPI",
			pip("--no-build-isolation", "--require-hashes", "-r", filepath.Join(env.Dir, sources)),
		})
	}
	steps = append(steps, step{"checking that it loads", []string{env.Python, "-c", r.Check}})
	for _, step := range steps {
		logf("%s: %s", r.Name, step.what)
		if err := env.run(ctx, step.argv); err != nil {
			return fmt.Errorf("%s: %s: %w", r.Name, step.what, err)
		}
	}
	return WriteFile(env.marker(), []byte(py.version()+"\n"))
}

// run runs one step. A failure wraps [ErrUnavailable], unless it was ctx that
// ended it.
func (e Env) run(ctx context.Context, argv []string) error {
	_, err := e.command(ctx, argv[0], argv[1:])
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Output runs the environment's Python with args and returns what it prints.
func (e Env) Output(ctx context.Context, args ...string) (string, error) {
	return e.command(ctx, e.Python, args)
}

// command runs a program with the environment's variables. An error quotes the
// end of what the program printed, or is that of ctx.
func (e Env) command(ctx context.Context, program string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = e.Environ()
	cmd.WaitDelay = time.Second // pip's own children may hold the pipe
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return string(out), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", fmt.Errorf("%w\n%s", err, Tail(string(out), 15))
}

// writeFiles writes the recipe's files to where pip and Python look for them.
func (r Recipe) writeFiles(env Env) error {
	if err := os.MkdirAll(env.shims(), 0o755); err != nil {
		return err
	}
	for _, name := range r.Files {
		content, err := fs.ReadFile(r.Data, name)
		if err != nil {
			return err
		}
		dir := env.Dir
		if filepath.Ext(name) == ".py" {
			dir = env.shims()
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Tail returns the last n lines of text.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
