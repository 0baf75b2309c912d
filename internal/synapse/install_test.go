// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package synapse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// goodProbe is what a Python that will do says of itself; %s is its path.
const goodProbe = `{"executable": %q, "version": [3, 11, 2], "platform": "linux", "venv": true, "sqlite": true}`

// fakePython is a python3 that notes its virtual environments in $LOG and puts
// itself into them; pip is what its pip does.
const fakePython = `#!/bin/sh
case "$1 $2" in
"-c import importlib"*) echo '%s' ;;
"-m venv") echo venv >>%q; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip") %s ;;
esac
`

// fakeMachine makes a PATH with the given commands and an empty cache.
func fakeMachine(t *testing.T, commands map[string]string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	for name, script := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	if len(commands) == 0 {
		t.Setenv("PATH", bin)
	}
	home := t.TempDir()
	t.Setenv("HOME", home) // macOS keeps its cache below it
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	return bin
}

// newFakePython makes a machine whose python3 will do, and returns the file
// that counts its virtual environments.
func newFakePython(t *testing.T, pip string) (venvs string) {
	t.Helper()
	venvs = filepath.Join(t.TempDir(), "venvs")
	bin := fakeMachine(t, map[string]string{"python3": ""})
	path := filepath.Join(bin, "python3")
	script := fmt.Sprintf(fakePython, fmt.Sprintf(goodProbe, path), venvs, pip)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return venvs
}

func TestInstallOnce(t *testing.T) {
	venvs := newFakePython(t, "exit 0")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := Install(t.Context(), t.Logf); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	env, err := Install(t.Context(), func(format string, args ...any) {
		t.Errorf("an installation that is there says %q", fmt.Sprintf(format, args...))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(venvs); string(got) != "venv\n" {
		t.Errorf("got %q, want one virtual environment for five calls", got)
	}
	for _, name := range []string{"requirements.txt", "sources.txt", "shims/sitecustomize.py", "complete", "venv/bin/python"} {
		if _, err := os.Stat(filepath.Join(env.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestInstallRepairsTornOne(t *testing.T) {
	venvs := newFakePython(t, "exit 0")
	env, err := Install(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{env.marker(), env.Python} {
		stale := filepath.Join(env.Dir, "venv", "stale")
		if err := errors.Join(os.Remove(lost), os.WriteFile(stale, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := Install(t.Context(), t.Logf); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(stale); err == nil {
			t.Errorf("without %s, what an older attempt left is still there", filepath.Base(lost))
		}
	}
	if got, _ := os.ReadFile(venvs); string(got) != strings.Repeat("venv\n", 3) {
		t.Errorf("got %q, want three virtual environments", got)
	}
}

func TestInstallWithoutPyPI(t *testing.T) {
	venvs := newFakePython(t, "echo 'Could not reach pypi.org' >&2; exit 1")
	for range 2 { // a failure is not remembered
		env, err := Install(t.Context(), t.Logf)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "Could not reach pypi.org") {
			t.Errorf("got error %v, want ErrUnavailable with pip's own words", err)
		}
		if env != (Env{}) {
			t.Errorf("got %+v beside an error", env)
		}
	}
	if got, _ := os.ReadFile(venvs); string(got) != strings.Repeat("venv\n", 2) {
		t.Errorf("got %q, want two attempts", got)
	}
}

// TestInstallInterrupted proves that a cancelled run is not taken for a
// machine without Synapse: tests must not skip because they ran out of time.
func TestInstallInterrupted(t *testing.T) {
	newFakePython(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Install(ctx, func(format string, args ...any) {
		if strings.Contains(fmt.Sprintf(format, args...), "PyPI") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got error %v, want context.Canceled alone", err)
	}
}

func TestLocateChangesWithEverything(t *testing.T) {
	base := interpreter{Executable: "/usr/bin/python3", Version: [3]int{3, 11, 2}, Platform: "linux"}
	other, newer, apple := base, base, base
	other.Executable, newer.Version, apple.Platform = "/opt/python3", [3]int{3, 11, 7}, "darwin"
	seen := make(map[string]bool)
	for _, py := range []interpreter{base, other, newer, apple, base} {
		env, err := locate("/root", py)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(env.Dir, "/root/synapse-1.3.1-") {
			t.Errorf("got %s, want it below the root and named after the version", env.Dir)
		}
		seen[env.Dir] = true
	}
	if got, want := len(seen), 4; got != want {
		t.Errorf("got %d names, want %d", got, want)
	}
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(cancelled, path); !errors.Is(err, context.Canceled) {
		t.Errorf("second holder: got error %v, want context.Canceled", err)
	}
	unlock()
	unlock, err = lockFile(t.Context(), path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	unlock()
	if _, err := lockFile(t.Context(), filepath.Join(path, "below a file")); err == nil {
		t.Error("impossible path: got no error")
	}
}

// TestEverythingIsPinned keeps a range, or a digest that got lost, out of the
// requirements: with one, next year's installation is another one.
func TestEverythingIsPinned(t *testing.T) {
	for name, pattern := range map[string]string{
		"requirements.txt": `^[A-Za-z0-9._-]+==[0-9.]+(; python_version (<|>=) "3\.\d+")?$`,
		"sources.txt":      `^[A-Za-z0-9._-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$`,
	} {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			t.Fatal(err)
		}
		pinned, count := regexp.MustCompile(pattern), 0
		for line := range strings.Lines(string(content)) {
			line = strings.TrimRight(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			count++
			if !pinned.MatchString(line) {
				t.Errorf("%s: %q is not pinned", name, line)
			}
		}
		if count < 2 {
			t.Errorf("%s: got %d requirements", name, count)
		}
	}
}

// TestInstalledAsPublished proves the claim of the package comment: Synapse
// does not load without the shims, and the shims are all it takes.
func TestInstalledAsPublished(t *testing.T) {
	env := realEnv(t)
	check := func(code string, extra ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), env.Python, "-c", code)
		cmd.Env = append(cleanEnv(os.Environ()), extra...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	shims := "PYTHONPATH=" + env.shims()
	if out, err := check(selfCheck, shims); err != nil {
		t.Errorf("with the shims: %v\n%s", err, out)
	}
	minor, err := check("import sys; print(sys.version_info[1])")
	if err != nil {
		t.Fatal(err)
	}
	out, err := check(selfCheck)
	if needed := strings.TrimSpace(minor) != "9" && strings.TrimSpace(minor) != "10"; needed != (err != nil) {
		t.Errorf("without the shims on Python 3.%s: got error %v\n%s", minor, err, out)
	}
	// Every installed file against the digests of the wheel's RECORD.
	const verify = `
import base64, hashlib, importlib.metadata as m
files = [f for f in m.files("matrix-synapse") if f.hash and str(f).startswith("synapse/")]
bad = [str(f) for f in files if base64.urlsafe_b64encode(
    hashlib.new(f.hash.mode, f.locate().read_bytes()).digest()).rstrip(b"=").decode() != f.hash.value]
print(len(files), bad, m.version("matrix-synapse"))`
	out, err = check(verify)
	if err != nil || !regexp.MustCompile(`^\d{3,} \[\] 1\.3\.1\n$`).MatchString(out) {
		t.Errorf("installed files: got %q, %v; want hundreds and none changed", out, err)
	}
}

func TestTail(t *testing.T) {
	for _, tc := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a\nb\n", 3, "a\nb"},
		{"a\nb\nc\nd\n\n", 2, "c\nd"},
	} {
		if got := tail(tc.text, tc.n); got != tc.want {
			t.Errorf("tail(%q, %d): got %q, want %q", tc.text, tc.n, got, tc.want)
		}
	}
}
