// SPDX-License-Identifier: Apache-2.0

package jssdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// pythonNames are the commands tried, in order; the plain name is what the
// user means by "my Python".
var pythonNames = []string{
	"python3", "python3.11", "python3.12", "python3.13", "python3.14", "python3.10", "python3.9",
}

// pythonProbe ends in success when the interpreter can fetch wheels for us.
// Debian ships Python without ensurepip, and then venv fails half-way through.
const pythonProbe = `import sys
if sys.version_info < (3, 9): sys.exit("it is Python %d.%d, and 3.9 or newer is needed" % sys.version_info[:2])
try: import venv, ensurepip
except ImportError: sys.exit("it cannot make virtual environments: on Debian and Ubuntu, apt install python3-venv")`

// findPython returns the first suitable interpreter on PATH, or the reasons
// against each one found.
func findPython(ctx context.Context) (string, error) {
	reasons := []string{"no python3 on PATH"}
	for _, name := range pythonNames {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, "-c", pythonProbe)
		cmd.Env = without(os.Environ(), "PYTHONPATH", "PYTHONHOME")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return path, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		// A version manager's stub is there and does not run.
		reasons = append(reasons, fmt.Sprintf("%s: %s", name, tail(string(out), 1)))
	}
	if len(reasons) > 1 {
		reasons = reasons[1:]
	}
	return "", fmt.Errorf("%w: it is fetched with Python 3.9 or newer: %s", ErrUnavailable, strings.Join(reasons, "; "))
}

// without returns env less the variables named.
func without(env []string, names ...string) []string {
	kept := make([]string, 0, len(env))
	for _, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains(names, name) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
