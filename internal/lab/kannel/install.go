// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/debian"
)

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Kannel; the message says why. Tests skip on it, and fail on it where CI
// promises these things.
var ErrUnavailable = debian.ErrUnavailable

// packages are what is unpacked: the gateway, and the test SMSC.
var packages = debian.Set{
	Name:     "Kannel",
	Packages: []string{"kannel", "kannel-extras"},
	Revision: "1",
	Version:  version,
}

// Env is an installed Kannel.
type Env struct {
	// Dir holds what the packages hold, as it would be below /.
	Dir string
	// Version is that of Kannel.
	Version string
}

func (e Env) tree() debian.Tree { return debian.Tree{Dir: e.Dir} }

// The programs.
const (
	bearerbox = "usr/sbin/bearerbox"
	smsbox    = "usr/sbin/smsbox"
	fakesmsc  = "usr/lib/kannel/test/fakesmsc"
)

// Install returns the Kannel in the user's cache directory, making it first if
// it is not there; that takes a few seconds and tells its steps to logf. Where
// two processes install at the same time, one result is kept.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	tree, version, err := packages.Install(ctx, logf)
	return Env{Dir: tree.Dir, Version: version}, err
}

// version asks the two programs that have the most libraries between them.
func version(ctx context.Context, tree debian.Tree) (string, error) {
	if _, err := os.Stat(tree.Path(fakesmsc)); err != nil {
		return "", err
	}
	var version string
	for _, name := range []string{smsbox, bearerbox} {
		out, err := debian.Run(ctx, tree.Dir, []string{tree.Libraries()}, tree.Path(name), "--version")
		if err != nil {
			return "", err
		}
		// Kannel bearerbox version `1.4.5'.
		_, rest, found := strings.Cut(out, "version `")
		if version, _, _ = strings.Cut(rest, "'"); !found || version == "" {
			return "", fmt.Errorf("%s does not tell its version", name)
		}
	}
	return version, nil
}
