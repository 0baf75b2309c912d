// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/sys"
)

// machine is one that has only the programs of a directory, and an empty cache.
func machine(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	bin := filepath.Join(dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	for name, script := range programs {
		must(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755))
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	return dir
}

const runs = "echo Chromium 1.2.3\n"

// A pretended apt-get puts a package into the cache that it is told, and a
// pretended dpkg-deb a browser into the directory that it is told.
const (
	pretendApt = `
for arg in "$@"; do
	case $arg in Dir::Cache=*) cache=${arg#Dir::Cache=};; esac
done
[ -n "$cache" ] || exit 0
echo x > "$cache/archives/chromium.deb"
`
	pretendDpkg = `
[ "$1" = --extract ] || exit 1
/bin/mkdir -p "$3/usr/lib/chromium" "$3/usr/lib/x86_64-linux-gnu/nss"
/bin/cat > "$3/usr/lib/chromium/chromium" <<-END
	#!/bin/sh
	echo Chromium 1.2.3
END
/bin/chmod +x "$3/usr/lib/chromium/chromium"
`
)

func TestInstallFindsWhatRuns(t *testing.T) {
	dir := machine(t, map[string]string{
		"chromium": "echo install the snap >&2; exit 1\n", "chromium-browser": "echo Something else\n", "google-chrome": runs,
	})
	env, err := Install(context.Background(), t.Logf)
	must(t, err)
	if want := filepath.Join(dir, "bin", "google-chrome"); env.Program != want || env.Version != "Chromium 1.2.3" || env.Environ != nil {
		t.Errorf("got %+v, want %s", env, want)
	}
}

func TestInstallUnpacks(t *testing.T) {
	dir := machine(t, map[string]string{"apt-get": pretendApt, "dpkg-deb": pretendDpkg})
	var steps []string
	logf := func(format string, _ ...any) { steps = append(steps, format) }
	first, err := Install(context.Background(), logf)
	must(t, err)
	root := filepath.Join(dir, "cache", "caddy-threepid", "chromium", "root")
	if want := filepath.Join(root, "usr", "lib", "chromium", "chromium"); first.Program != want {
		t.Errorf("got %s, want %s", first.Program, want)
	}
	environ := strings.Join(first.Environ, "\n")
	for _, want := range []string{
		"LD_LIBRARY_PATH=" + filepath.Join(root, "usr/lib/chromium") + ":", filepath.Join(root, "usr/lib/x86_64-linux-gnu/nss"),
		"FONTCONFIG_FILE=" + filepath.Join(dir, "cache", "caddy-threepid", "chromium", "fonts.conf"),
	} {
		if !strings.Contains(environ, want) {
			t.Errorf("got %q, want %q in it", environ, want)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(root), "apt")); !os.IsNotExist(err) {
		t.Errorf("the packages are still there: %v", err)
	}
	before := len(steps)
	second, err := Install(context.Background(), logf)
	must(t, err)
	for _, step := range steps[before:] {
		if strings.Contains(step, "download") {
			t.Errorf("a second installation says %q", step)
		}
	}
	if before == 0 || second.Program != first.Program {
		t.Errorf("got %d steps, %+v, then %+v", before, first, second)
	}
}

func TestInstallUnavailable(t *testing.T) {
	for name, programs := range map[string]map[string]string{
		"nothing":              {},
		"no archive":           {"apt-get": "echo cannot resolve; exit 100\n"},
		"nothing to unpack":    {"apt-get": pretendApt, "dpkg-deb": "exit 0\n"},
		"nothing to unpack by": {"apt-get": pretendApt},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t, programs)
			if env, err := Install(context.Background(), t.Logf); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %+v, %v, want %v", env, err, ErrUnavailable)
			}
		})
	}
}

// TestInstallWaitsForOthers: and gives up when its caller does.
func TestInstallWaitsForOthers(t *testing.T) {
	dir := machine(t, nil)
	cache := filepath.Join(dir, "cache", "caddy-threepid")
	must(t, os.MkdirAll(cache, 0o755))
	unlock, err := sys.LockFile(context.Background(), filepath.Join(cache, "chromium.lock"))
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancel()
	if _, err := Install(ctx, t.Logf); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v while another one installs", err)
	}
	unlock()
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := Install(ctx, t.Logf); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
}
