// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The whole of it, into a cache of its own: made once, found the second time,
// and made again when it was torn.
func TestInstallKeepsWhatItHasMade(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	env := install(t)
	if !strings.HasPrefix(env.Dir, cache) || !strings.HasPrefix(env.Version, "1.") {
		t.Errorf("got %+v, want a Kannel 1 in %s", env, cache)
	}
	whole := env.tree().Path(bearerbox)
	for _, torn := range []string{"", smsbox, fakesmsc} {
		before, err := os.Stat(whole)
		if err != nil {
			t.Fatal(err)
		}
		if torn != "" {
			if err := os.Remove(env.tree().Path(torn)); err != nil {
				t.Fatal(err)
			}
		}
		if again := install(t); again != env {
			t.Errorf("got %+v, want %+v", again, env)
		}
		after, err := os.Stat(whole)
		if err != nil || os.SameFile(before, after) != (torn == "") {
			t.Errorf("without %q: got the same %t (%v)", torn, os.SameFile(before, after), err)
		}
	}
	left, err := os.ReadDir(filepath.Join(cache, "caddy-threepid"))
	if err != nil || len(left) != 1 {
		t.Errorf("got %d entries (%v), want the installation and no remains", len(left), err)
	}
}

func TestInstallIsUnavailableWithAReason(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	env, err := Install(t.Context(), t.Logf)
	if !errors.Is(err, ErrUnavailable) || env != (Env{}) || !strings.HasPrefix(err.Error(), "kannel is not available on this machine: ") {
		t.Errorf("got %+v, %v, want %v", env, err, ErrUnavailable)
	}
}
