// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"context"
	"embed"
	"io/fs"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// Version is the version of Sydent that is installed and run.
const Version = "2.6.1"

// ErrUnavailable is the outcome of [Install] on a machine that cannot have
// Sydent: no suitable Python, no venv, PyPI out of reach. The message says
// which. Tests skip on it, and fail on it where CI promises these things.
var ErrUnavailable = venv.ErrUnavailable

//go:embed data
var data embed.FS

// embedded returns a part of what is compiled in.
func embedded(dir string) fs.FS {
	files, err := fs.Sub(data, dir)
	if err != nil {
		panic(err) // the names are constants, and valid
	}
	return files
}

// recipe is how Sydent is installed.
func recipe() venv.Recipe {
	return venv.Recipe{
		Name: "sydent", Version: Version, Revision: "1",
		Data: embedded("data"), Files: []string{"requirements.txt", "sources.txt"},
		Check: "import sydent.sydent",
	}
}

// Env is an installed Sydent.
type Env struct{ venv.Env }

// Install returns the Sydent in the user's cache directory, making it first if
// it is not there; that takes about a quarter of a minute and tells its steps
// to logf. Processes that install at the same time wait for one another. An
// error wraps [ErrUnavailable] when this machine cannot have Sydent.
func Install(ctx context.Context, logf func(format string, args ...any)) (Env, error) {
	env, err := recipe().Install(ctx, logf)
	return Env{env}, err
}
