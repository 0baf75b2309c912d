// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package venv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// testRecipe is for a Python that is a shell script.
var testRecipe = Recipe{
	Name: "server", Version: "1.2.3", Revision: "1", Check: "import server",
	Data: fstest.MapFS{
		"requirements.txt": {Data: []byte("one==1")}, "sources.txt": {}, "shim.py": {},
	},
	Files: []string{"requirements.txt", "sources.txt", "shim.py"},
}

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
			if _, err := testRecipe.Install(t.Context(), t.Logf); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	env, err := testRecipe.Install(t.Context(), func(format string, args ...any) {
		t.Errorf("an installation that is there says %q", fmt.Sprintf(format, args...))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(venvs); string(got) != "venv\n" {
		t.Errorf("got %q, want one virtual environment for five calls", got)
	}
	for _, name := range []string{"requirements.txt", "sources.txt", "shims/shim.py", "complete", "venv/bin/python"} {
		if _, err := os.Stat(filepath.Join(env.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestInstallOfWheelsAlone: a server that is a wheel needs nothing built, so pip
// is asked once.
func TestInstallOfWheelsAlone(t *testing.T) {
	for _, files := range [][]string{{"requirements.txt"}, {"requirements.txt", "sources.txt"}} {
		asked := filepath.Join(t.TempDir(), "asked")
		newFakePython(t, fmt.Sprintf(`echo "$@" >>%q`, asked))
		recipe := testRecipe
		recipe.Files = files
		env, err := recipe.Install(t.Context(), t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		if env.Version != recipe.Version {
			t.Errorf("got version %q, want %q", env.Version, recipe.Version)
		}
		got, err := os.ReadFile(asked)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(got), "\n"); lines != len(files) || !strings.Contains(string(got), "--only-binary :all:") {
			t.Errorf("%v: pip was asked\n%s", files, got)
		}
	}
}

func TestInstallRepairsTornOne(t *testing.T) {
	venvs := newFakePython(t, "exit 0")
	env, err := testRecipe.Install(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{env.marker(), env.Python} {
		stale := filepath.Join(env.Dir, "venv", "stale")
		if err := errors.Join(os.Remove(lost), os.WriteFile(stale, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := testRecipe.Install(t.Context(), t.Logf); err != nil {
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
		env, err := testRecipe.Install(t.Context(), t.Logf)
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
// machine without it: tests must not skip because they ran out of time.
func TestInstallInterrupted(t *testing.T) {
	newFakePython(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := testRecipe.Install(ctx, func(format string, args ...any) {
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
	content := testRecipe
	content.Data = fstest.MapFS{
		"requirements.txt": {Data: []byte("two==2")}, "sources.txt": {}, "shim.py": {},
	}
	revised := testRecipe
	revised.Revision = "next"
	for _, tc := range []struct {
		recipe Recipe
		py     interpreter
	}{
		{testRecipe, base},
		{testRecipe, other},
		{testRecipe, newer},
		{testRecipe, apple},
		{testRecipe, base},
		{content, base},
		{revised, base},
	} {
		env, err := tc.recipe.locate("/root", tc.py)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(env.Dir, "/root/server-1.2.3-") {
			t.Errorf("got %s, want it below the root and named after the version", env.Dir)
		}
		seen[env.Dir] = true
	}
	if got, want := len(seen), 6; got != want {
		t.Errorf("got %d names, want %d", got, want)
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
		if got := Tail(tc.text, tc.n); got != tc.want {
			t.Errorf("Tail(%q, %d): got %q, want %q", tc.text, tc.n, got, tc.want)
		}
	}
}

func TestRecipeWithAFileMissing(t *testing.T) {
	newFakePython(t, "exit 0")
	broken := testRecipe
	broken.Files = append([]string{"absent.txt"}, broken.Files...)
	if _, err := broken.Install(t.Context(), t.Logf); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got error %v, want fs.ErrNotExist alone: the machine is not to blame", err)
	}
}
