// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"context"
	"embed"
	"io/fs"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

const (
	// Version is the version of Synapse that [Install] installs.
	Version = "1.3.1"
	// NewestVersion is that of [InstallNewest].
	NewestVersion = "1.163.2"
)

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Synapse: no suitable Python, no venv, PyPI out of reach. The message says
// which. Tests skip on it, and fail on it where CI promises these things.
var ErrUnavailable = venv.ErrUnavailable

//go:embed data
var data embed.FS

// recipe is how Synapse is installed. Its check runs Synapse's own check of
// its dependencies.
func recipe() venv.Recipe {
	files, err := fs.Sub(data, "data")
	if err != nil {
		panic(err) // the name is a constant, and valid
	}
	return venv.Recipe{
		Name: "synapse", Version: Version, Revision: "1",
		Data: files, Files: []string{"requirements.txt", "sources.txt", "sitecustomize.py"},
		Check: "import synapse.app.homeserver as h; h.check_requirements()",
	}
}

// newestRecipe is how the newest Synapse is installed: as wheels, and nothing
// stands between it and Python.
func newestRecipe() venv.Recipe {
	files, err := fs.Sub(data, "data/newest")
	if err != nil {
		panic(err) // the name is a constant, and valid
	}
	return venv.Recipe{
		Name: "synapse", Version: NewestVersion, Revision: "1", Oldest: 10,
		Data: files, Files: []string{"requirements.txt"},
		Check: "import synapse.app.homeserver; from synapse.util.check_dependencies import check_requirements as c; c()",
	}
}

// Env is an installed Synapse.
type Env struct{ venv.Env }

// Install returns the Synapse in the user's cache directory, making it first
// if it is not there; that takes about half a minute and tells its steps to
// logf. Processes that install at the same time wait for one another. An error
// wraps [ErrUnavailable] when this machine cannot have Synapse.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	env, err := recipe().Install(ctx, logf)
	return Env{env}, err
}

// InstallNewest is [Install] for the newest Synapse, which verifies addresses by
// itself and checks what a conversation is for. It needs Python 3.10 or newer.
func InstallNewest(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	env, err := newestRecipe().Install(ctx, logf)
	return Env{env}, err
}
