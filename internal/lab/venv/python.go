// SPDX-License-Identifier: Apache-2.0

package venv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// pythonNames are the commands tried, in order. The plain name comes first
// because it is what the user means by "my Python"; the others serve where
// that one is too old or incomplete.
var pythonNames = []string{
	"python3", "python3.11", "python3.12", "python3.13", "python3.14", "python3.10", "python3.9",
}

// oldestMinor is the oldest Python 3 that the pinned wheels of most recipes
// exist for.
const oldestMinor = 9

// probeProgram makes an interpreter describe itself. Debian ships Python
// without ensurepip, and then venv fails half-way through; so ask first.
const probeProgram = `import importlib.util as u, json, sys
has = lambda n: u.find_spec(n) is not None
print(json.dumps({"executable": sys.executable, "version": list(sys.version_info[:3]),
 "platform": sys.platform, "venv": has("venv") and has("ensurepip"), "sqlite": has("_sqlite3")}))`

// interpreter is what a Python says of itself.
type interpreter struct {
	Executable string `json:"executable"`
	Version    [3]int `json:"version"`
	Platform   string `json:"platform"`
	Venv       bool   `json:"venv"`
	SQLite     bool   `json:"sqlite"`
}

// version returns the interpreter's version in the usual form.
func (p interpreter) version() string {
	return fmt.Sprintf("%d.%d.%d", p.Version[0], p.Version[1], p.Version[2])
}

// unfit tells why p cannot carry a server that needs some Python 3 at least, or
// returns nil.
func (p interpreter) unfit(oldest int) error {
	switch {
	case p.Version[0] != 3 || p.Version[1] < oldest:
		return fmt.Errorf("is Python %s, and 3.%d or newer is needed", p.version(), oldest)
	case !p.Venv:
		return fmt.Errorf("(Python %s) cannot make virtual environments, its ensurepip is missing: "+
			"on Debian and Ubuntu, apt install python3-venv", p.version())
	case !p.SQLite:
		return fmt.Errorf("(Python %s) was built without sqlite3", p.version())
	}
	return nil
}

// findPython returns the first interpreter on PATH that can carry a server that
// needs some Python 3 at least, or the reasons against each one found.
func findPython(ctx context.Context, oldest int) (interpreter, error) {
	var reasons []string
	for _, name := range pythonNames {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		py, err := probe(ctx, path)
		if ctx.Err() != nil {
			return interpreter{}, ctx.Err()
		}
		if err == nil {
			err = py.unfit(oldest)
		}
		if err == nil {
			return py, nil
		}
		reasons = append(reasons, name+" "+err.Error())
	}
	if len(reasons) == 0 {
		return interpreter{}, fmt.Errorf("%w: no python3 on PATH; install Python 3.%d or newer "+
			"(on Debian and Ubuntu, apt install python3 python3-venv)", ErrUnavailable, oldest)
	}
	return interpreter{}, fmt.Errorf("%w: no Python on PATH will do: %s", ErrUnavailable, strings.Join(reasons, "; "))
}

// probe runs the interpreter at path and reads what it says of itself. A
// command that is there but does not run (a version manager's stub) is an error.
func probe(ctx context.Context, path string) (interpreter, error) {
	cmd := exec.CommandContext(ctx, path, "-c", probeProgram)
	cmd.Env = cleanEnv(os.Environ())
	out, err := cmd.Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("does not run: %w", err)
	}
	var py interpreter
	if err := json.Unmarshal(out, &py); err != nil {
		return interpreter{}, fmt.Errorf("does not describe itself: %w", err)
	}
	if py.Executable == "" {
		return interpreter{}, errors.New("does not know where it is")
	}
	return py, nil
}

// cleanEnv returns env without the variables that would turn a Python away
// from its own libraries or from the bytecode beside them. pip's own settings
// stay: they name mirrors and proxies.
func cleanEnv(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__",
			"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX":
			continue
		}
		kept = append(kept, entry)
	}
	return append(kept, "PYTHONNOUSERSITE=1", "PYTHONWARNINGS=ignore", "PYTHONUTF8=1")
}
