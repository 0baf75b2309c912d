// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The repository, seen from this package's directory.
const repository = "../../.."

// The facts that xcaddy.json, go.mod and cmd/caddy each state on their own.
// Nothing but this test keeps them together.

// goList asks the go command about the module.
func goList(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-m"}, args...)...)
	cmd.Dir = repository
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -m %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func committed(t *testing.T) config {
	t.Helper()
	c, err := readConfig(filepath.Join(repository, "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDriftCaddyVersion(t *testing.T) {
	got := committed(t).CaddyVersion
	if want := goList(t, "-f", "{{.Version}}", caddyModule); got != want {
		t.Errorf("xcaddy.json builds Caddy %s, go.mod requires %s", got, want)
	}
}

func TestDriftPlugin(t *testing.T) {
	c := committed(t)
	if len(c.Plugins) != 1 {
		t.Fatalf("xcaddy.json has %d plugins, want this module alone", len(c.Plugins))
	}
	module := goList(t)
	if got := c.Plugins[0].ModulePath; got != module {
		t.Errorf("xcaddy.json builds the plugin %s, go.mod declares %s", got, module)
	}
	// A version would be ignored beside the replacement, and be read as a fact.
	if got := c.Plugins[0].Version; got != "" {
		t.Errorf("xcaddy.json gives the plugin the version %s, but builds this directory", got)
	}
}

func TestDriftReplacements(t *testing.T) {
	c := committed(t)
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	want := []replacement{{Old: goList(t), New: root}}
	if !slices.Equal(c.Replacements, want) {
		t.Errorf("got replacements %v, want %v", c.Replacements, want)
	}
	// A replace in go.mod would hold here and be ignored for everybody else.
	text, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "replace") || strings.HasPrefix(line, "toolchain") {
			t.Errorf("go.mod must not say %q: users of the module do not get it, or have to", strings.TrimSpace(line))
		}
	}
}

// TestDriftImports compares the two main packages: the one that is generated
// from xcaddy.json and cmd/caddy.
func TestDriftImports(t *testing.T) {
	generated := imports(t, "main.go", mainSource(committed(t)))
	written := imports(t, filepath.Join(repository, "cmd", "caddy", "main.go"), nil)
	if !slices.Equal(generated, written) {
		t.Errorf("xcaddy.json makes a program of %v, cmd/caddy is one of %v", generated, written)
	}
}

// imports returns the sorted import paths of a file; source may be nil.
func imports(t *testing.T, name string, source any) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
