// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// pkg is the part of a `go list -json` package that the arrows are about.
type pkg struct {
	ImportPath string
	Standard   bool
	Module     *struct {
		Path string
		Main bool
	}
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// graph is every package of the module with everything it depends on.
type graph struct {
	module string
	pkgs   map[string]*pkg
}

// loadGraph asks the go command for the packages of the module in dir.
// Packages that do not compile are loaded as far as they go: the compiler's
// complaints are not this package's business.
func loadGraph(dir, tags string) (*graph, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-tags", tags,
		"-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w\n%s", err, stderr.String())
	}
	return parseGraph(bytes.NewReader(out))
}

// parseGraph reads the output of `go list -deps -json`.
func parseGraph(r io.Reader) (*graph, error) {
	g := &graph{pkgs: map[string]*pkg{}}
	for dec := json.NewDecoder(r); ; {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("decode package: %w", err)
		}
		g.pkgs[p.ImportPath] = p
		if p.Module != nil && p.Module.Main {
			g.module = p.Module.Path
		}
	}
	if g.module == "" {
		return nil, errors.New("list packages: found none of the module's own")
	}
	return g, nil
}

// own returns the module's packages by their path inside the module, "." for
// its root, sorted.
func (g *graph) own() []string {
	var dirs []string
	for importPath, p := range g.pkgs {
		if p.Module != nil && p.Module.Main {
			dirs = append(dirs, g.relative(importPath))
		}
	}
	slices.Sort(dirs)
	return dirs
}

// relative shortens an import path of the module; others stay as they are.
func (g *graph) relative(importPath string) string {
	if importPath == g.module {
		return "."
	}
	return strings.TrimPrefix(importPath, g.module+"/")
}

// absolute reverses relative for a path inside the module.
func (g *graph) absolute(dir string) string {
	return path.Join(g.module, dir)
}

// chain returns the shortest chain of imports from a package to one that is
// forbidden, or nil. The chain starts with from and says how the dependency got
// in, which is what whoever broke the rule needs to know.
func (g *graph) chain(from string, forbidden func(importPath string) bool) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := g.pkgs[queue[0]]
		if p == nil {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := cameFrom[next]; seen {
				continue
			}
			cameFrom[next] = p.ImportPath
			if forbidden(next) {
				return g.walkBack(cameFrom, next)
			}
			queue = append(queue, next)
		}
	}
	return nil
}

func (g *graph) walkBack(cameFrom map[string]string, to string) []string {
	var steps []string
	for step := to; step != ""; step = cameFrom[step] {
		steps = append(steps, g.relative(step))
	}
	slices.Reverse(steps)
	return steps
}
