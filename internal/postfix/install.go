// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Postfix; the message says why. Tests skip on it, and fail on it where CI
// promises these things.
var ErrUnavailable = errors.New("not available on this machine")

// The user and the group that own the queue. They are there on every Debian,
// and Postfix wants them to differ from each other and from nobody.
const (
	owner = "daemon"
	group = "mail"
)

// revision counts the changes to what is installed and how.
const revision = "1"

// Env is an installed Postfix.
type Env struct {
	// Dir holds what the packages hold, as it would be below /.
	Dir string
	// Version is that of Postfix.
	Version string
}

func (e Env) command(name string) string { return filepath.Join(e.Dir, "usr/sbin", name) }
func (e Env) daemons() string            { return filepath.Join(e.Dir, "usr/lib/postfix/sbin") }
func (e Env) libraries() string          { return filepath.Join(e.Dir, "usr/lib/postfix") }

// glob returns the directories of a name that contains the architecture.
func (e Env) glob(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(e.Dir, pattern))
	if err != nil {
		panic(err) // the patterns are constants
	}
	return found
}

// environ are the variables without which the programs do not find what belongs
// to them: they were built to be below /.
func (e Env) environ() []string {
	paths := append([]string{e.libraries()}, e.glob("usr/lib/*-linux-gnu*")...)
	paths = append(paths, e.glob("lib/*-linux-gnu*")...)
	plugins := append(e.glob("usr/lib/*-linux-gnu*/sasl2"), e.glob("/usr/lib/sasl2")...)
	return []string{"LD_LIBRARY_PATH=" + strings.Join(paths, ":"), "SASL_PATH=" + strings.Join(plugins, ":")}
}

// Install returns the Postfix in the user's cache directory, making it first if
// it is not there; that takes a few seconds and tells its steps to logf. Where
// two processes install at the same time, one result is kept.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	if err := possible(); err != nil {
		return Env{}, fmt.Errorf("postfix is %w: %w", ErrUnavailable, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Env{}, fmt.Errorf("postfix is %w: find the cache directory: %w", ErrUnavailable, err)
	}
	root := filepath.Join(cache, "caddy-threepid")
	env := Env{Dir: filepath.Join(root, "postfix-"+release()+"-"+revision)}
	if env.Version, err = version(ctx, env); err == nil {
		return env, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Env{}, fmt.Errorf("postfix is %w: make the cache directory: %w", ErrUnavailable, err)
	}
	begun := time.Now()
	if err := build(ctx, root, env.Dir, logf); err != nil {
		return Env{}, fmt.Errorf("postfix is %w: %w", ErrUnavailable, err)
	}
	if env.Version, err = version(ctx, env); err != nil {
		return Env{}, fmt.Errorf("postfix is %w: %w", ErrUnavailable, err)
	}
	logf("Postfix %s is unpacked in %s (%s)", env.Version, env.Dir, time.Since(begun).Round(time.Second/10))
	return env, nil
}

// possible reports what is missing on this machine.
func possible() error {
	if !supported {
		return errors.New("it needs Linux")
	}
	if os.Geteuid() != 0 {
		return errors.New("it must be started by root")
	}
	for _, name := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("it needs Debian's packages: %w", err)
		}
	}
	_, err := findOwner()
	return err
}

// ids are the numbers of owner and group.
type ids struct{ uid, gid string }

func findOwner() (ids, error) {
	u, err := user.Lookup(owner)
	if err != nil {
		return ids{}, fmt.Errorf("it needs a user to give the queue to: %w", err)
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return ids{}, fmt.Errorf("it needs a group to give the queue to: %w", err)
	}
	return ids{uid: u.Uid, gid: g.Gid}, nil
}

// release is a name for the system that packages are fit for.
func release() string {
	content, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "unknown"
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = strings.Trim(value, `"'`)
	}
	clean := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return -1
	}
	return strings.Map(clean, fields["ID"]) + strings.Map(clean, fields["VERSION_ID"])
}

// version runs one of the programs: what cannot be loaded fails here.
func version(ctx context.Context, env Env) (string, error) {
	if _, err := os.Stat(filepath.Join(env.daemons(), "master")); err != nil {
		return "", err
	}
	conf, err := os.MkdirTemp("", "postfix-conf-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(conf)
	if err := os.WriteFile(filepath.Join(conf, "main.cf"), nil, 0o600); err != nil {
		return "", err
	}
	out, err := run(ctx, conf, env.environ(), env.command("postconf"), "-c", conf, "-d", "-h", "mail_version")
	return strings.TrimSpace(out), err
}

// run returns what a program prints; a failure tells what it complained about.
func run(ctx context.Context, dir string, environ []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"), environ...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(complaint.String()), "\n")
		return "", fmt.Errorf("run %s: %w: %s", filepath.Base(name), err, lines[len(lines)-1])
	}
	return string(out), nil
}
