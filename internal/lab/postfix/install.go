// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/debian"
)

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Postfix; the message says why. Tests skip on it, and fail on it where CI
// promises these things.
var ErrUnavailable = debian.ErrUnavailable

// The user and the group that own the queue. They are there on every Debian,
// and Postfix wants them to differ from each other and from nobody.
const (
	owner = "daemon"
	group = "mail"
)

// packages are what is unpacked.
var packages = debian.Set{
	Name:     "Postfix",
	Packages: []string{"postfix", "sasl2-bin", "libsasl2-modules", "libsasl2-modules-db"},
	Revision: "1",
	Version:  version,
}

// Env is an installed Postfix.
type Env struct {
	// Dir holds what the packages hold, as it would be below /.
	Dir string
	// Version is that of Postfix.
	Version string
}

func (e Env) tree() debian.Tree          { return debian.Tree{Dir: e.Dir} }
func (e Env) command(name string) string { return filepath.Join(e.Dir, "usr/sbin", name) }
func (e Env) daemons() string            { return filepath.Join(e.Dir, "usr/lib/postfix/sbin") }
func (e Env) libraries() string          { return filepath.Join(e.Dir, "usr/lib/postfix") }

// environ are the variables without which the programs do not find what belongs
// to them: they were built to be below /.
func (e Env) environ() []string {
	plugins := append(e.tree().Glob("usr/lib/*-linux-gnu*/sasl2"), e.tree().Glob("/usr/lib/sasl2")...)
	return []string{e.tree().Libraries(e.libraries()), "SASL_PATH=" + strings.Join(plugins, ":")}
}

// Install returns the Postfix in the user's cache directory, making it first if
// it is not there; that takes a few seconds and tells its steps to logf. Where
// two processes install at the same time, one result is kept.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	if err := possible(); err != nil {
		return Env{}, packages.Unavailable(err)
	}
	tree, version, err := packages.Install(ctx, logf)
	return Env{Dir: tree.Dir, Version: version}, err
}

// possible reports what is missing on this machine, besides Debian's packages.
func possible() error {
	if os.Geteuid() != 0 {
		return errors.New("it must be started by root")
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

// version runs one of the programs: what cannot be loaded fails here.
func version(ctx context.Context, tree debian.Tree) (string, error) {
	env := Env{Dir: tree.Dir}
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
	out, err := debian.Run(ctx, conf, env.environ(), env.command("postconf"), "-c", conf, "-d", "-h", "mail_version")
	return strings.TrimSpace(out), err
}
