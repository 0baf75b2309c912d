// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Version is the version of Synapse that is installed and run.
const Version = "1.3.1"

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Synapse: no suitable Python, no venv, PyPI out of reach. The message says
// which. Tests skip on it, and fail on it where CI promises these things.
var ErrUnavailable = errors.New("synapse is not available on this machine")

// recipe counts the changes to the steps of build, so that an environment
// made by older steps is not taken for a current one.
const recipe = "1"

// selfCheck imports the whole server and runs Synapse's own check of its
// dependencies: a Python we have never met fails here, not in a test.
const selfCheck = "import synapse.app.homeserver as h; h.check_requirements()"

//go:embed data
var data embed.FS

// Env is an installed Synapse.
type Env struct {
	// Dir holds everything that was installed.
	Dir string
	// Python is the interpreter of the virtual environment.
	Python string
}

// shims returns the directory that must be on PYTHONPATH.
func (e Env) shims() string { return filepath.Join(e.Dir, "shims") }

// requirements returns the path of the file of that name as pip reads it.
func (e Env) requirements(name string) string { return filepath.Join(e.Dir, name) }

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

// Install returns the Synapse in the user's cache directory, making it first
// if it is not there; that takes about half a minute and tells its steps to
// logf. Processes that install at the same time wait for one another. An error
// wraps [ErrUnavailable] when this machine cannot have Synapse.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	if !supported {
		return Env{}, fmt.Errorf("%w: it needs Linux, macOS or a BSD", ErrUnavailable)
	}
	py, err := findPython(ctx)
	if err != nil {
		return Env{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Env{}, fmt.Errorf("%w: find the cache directory: %w", ErrUnavailable, err)
	}
	env, err := locate(filepath.Join(cache, "caddy-threepid"), py)
	if err != nil {
		return Env{}, err
	}
	if env.installed() {
		return env, nil
	}
	if err := os.MkdirAll(filepath.Dir(env.Dir), 0o755); err != nil {
		return Env{}, fmt.Errorf("%w: make the cache directory: %w", ErrUnavailable, err)
	}
	unlock, err := lockFile(ctx, env.Dir+".lock")
	if err != nil {
		return Env{}, fmt.Errorf("lock the installation: %w", err)
	}
	defer unlock()
	if env.installed() { // by whoever held the lock before us
		return env, nil
	}
	begun := time.Now()
	if err := build(ctx, env, py, logf); err != nil {
		return Env{}, err
	}
	logf("synapse %s is installed in %s (%s)", Version, env.Dir, time.Since(begun).Round(time.Second/10))
	return env, nil
}

// locate names the environment for py below root. The name changes with
// everything the content depends on, so that nothing is ever updated in place.
func locate(root string, py interpreter) (Env, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n", recipe, py.Executable, py.version(), py.Platform)
	for _, name := range []string{"requirements.txt", "sources.txt", "sitecustomize.py"} {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			return Env{}, fmt.Errorf("read embedded %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%d\n%s", len(content), content)
	}
	dir := filepath.Join(root, "synapse-"+Version+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	return Env{Dir: dir, Python: filepath.Join(dir, "venv", "bin", "python")}, nil
}

// build makes env from nothing, throwing away what an interrupted build left.
func build(ctx context.Context, env Env, py interpreter, logf func(string, ...any)) error {
	if err := os.RemoveAll(env.Dir); err != nil {
		return fmt.Errorf("remove a torn installation: %w", err)
	}
	if err := writeData(env); err != nil {
		return fmt.Errorf("%w: write the installation: %w", ErrUnavailable, err)
	}
	// pip compiles what it installs, and must: Synapse forbids Python to do it
	// (synapse/app/__init__.py), and every start would take twice as long.
	pip := func(args ...string) []string {
		return append([]string{
			env.Python, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install",
			"--no-deps", "--retries", "2",
		}, args...)
	}
	steps := []struct {
		what string
		argv []string
	}{
		{
			"making a virtual environment with Python " + py.version(),
			[]string{py.Executable, "-m", "venv", filepath.Join(env.Dir, "venv")},
		},
		{
			"fetching Synapse's dependencies from PyPI",
			pip("--only-binary", ":all:", "-r", env.requirements("requirements.txt")),
		},
		// Without isolation, because today's setuptools cannot build these two.
		{
			"fetching Synapse " + Version + " from PyPI",
			pip("--no-build-isolation", "--require-hashes", "-r", env.requirements("sources.txt")),
		},
		{"checking that it loads", []string{env.Python, "-c", selfCheck}},
	}
	for _, step := range steps {
		logf("synapse: %s", step.what)
		if err := run(ctx, env, step.argv); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return writeAtomic(env.marker(), []byte(py.version()+"\n"), 0o644)
}

// run runs one step. A failure wraps [ErrUnavailable] and quotes the end of
// what the step printed, unless it was ctx that ended it.
func run(ctx context.Context, env Env, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(cleanEnv(os.Environ()), "PYTHONPATH="+env.shims())
	cmd.WaitDelay = time.Second // pip's own children may hold the pipe
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w\n%s", ErrUnavailable, err, tail(string(out), 15))
}

// writeData writes the embedded files to where pip and Python look for them.
func writeData(env Env) error {
	if err := os.MkdirAll(env.shims(), 0o755); err != nil {
		return err
	}
	for name, path := range map[string]string{
		"requirements.txt": env.requirements("requirements.txt"),
		"sources.txt":      env.requirements("sources.txt"),
		"sitecustomize.py": filepath.Join(env.shims(), "sitecustomize.py"),
	} {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeAtomic writes a file that is either there in full or not at all.
func writeAtomic(path string, content []byte, mode fs.FileMode) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, content, mode); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
