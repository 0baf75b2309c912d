// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// install is Install where it can work.
func install(t *testing.T) Env {
	t.Helper()
	env, err := Install(t.Context(), t.Logf)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// The whole of it, into a cache of its own: made once, found the second time,
// and made again when it was torn.
func TestInstallKeepsWhatItHasMade(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	env := install(t)
	if !strings.HasPrefix(env.Dir, cache) || !strings.HasPrefix(env.Version, "3.") {
		t.Errorf("got %+v, want a Postfix 3 in %s", env, cache)
	}
	library := filepath.Join(env.libraries(), "libpostfix-util.so")
	for _, torn := range []bool{false, true} {
		before, err := os.Stat(library)
		if err != nil {
			t.Fatal(err)
		}
		if torn {
			if err := os.Remove(filepath.Join(env.libraries(), "libpostfix-global.so")); err != nil {
				t.Fatal(err)
			}
		}
		if again := install(t); again != env {
			t.Errorf("got %+v, want %+v", again, env)
		}
		after, err := os.Stat(library)
		if err != nil || os.SameFile(before, after) == torn {
			t.Errorf("torn %t: got the same %t (%v)", torn, os.SameFile(before, after), err)
		}
	}
	left, err := os.ReadDir(filepath.Join(cache, "caddy-threepid"))
	if err != nil || len(left) != 1 {
		t.Errorf("got %d entries (%v), want the installation and no remains", len(left), err)
	}
}

func TestInstallIsUnavailableWithAReason(t *testing.T) {
	for name, change := range map[string]func(){
		"no apt-get": func() { t.Setenv("PATH", t.TempDir()) },
		"no cache":   func() { t.Setenv("XDG_CACHE_HOME", ""); t.Setenv("HOME", "") },
	} {
		change()
		env, err := Install(t.Context(), t.Logf)
		if !errors.Is(err, ErrUnavailable) || env.Dir != "" {
			t.Errorf("%s: got %+v, %v, want %v", name, env, err, ErrUnavailable)
		}
	}
}

func TestInstallEndsWithItsContext(t *testing.T) {
	install(t) // it can work here
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if env, err := Install(ctx, t.Logf); err == nil {
		t.Errorf("got %+v", env)
	}
}

func TestSettingsAreTheOptions(t *testing.T) {
	o := Options{Recipients: []string{"a@x.test", "b@x.test", "@y.test"}, Settings: map[string]string{"biff": "yes", "more": "here"}}
	o.setDefaults()
	files := layout{base: t.TempDir()}
	set := files.settings(Env{Dir: "/somewhere"}, o, "[127.0.0.1]:1")
	for name, want := range map[string]string{
		"virtual_mailbox_domains": "x.test y.test", "biff": "yes", "more": "here", "virtual_transport": "smtp:[127.0.0.1]:1",
		"smtpd_tls_security_level": "encrypt", "myhostname": "mx.postfix.test", "mynetworks": "", "mail_owner": owner,
	} {
		if got := set[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, value := range set {
		if strings.Contains(value, "/etc/") || strings.Contains(value, "/var/spool") || strings.Contains(value, "\n") {
			t.Errorf("%s: got %q, which belongs to the system", name, value)
		}
	}
	if o.Next.SMTPUTF8 != true || o.Username != "user" || len(o.Mechanisms) != 3 {
		t.Errorf("got defaults %+v", o)
	}
	ca, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := files.configure(Env{}, o, []int{1, 2}, "x", ca); err == nil {
		t.Error("got no error from a directory that is not there")
	}
}
