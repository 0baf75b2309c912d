// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// arrow forbids some packages of the module to depend on something, directly or
// through others.
type arrow struct {
	// Why is what the error message says beside the chain of imports.
	Why string
	// From selects packages by their path inside the module.
	From func(dir string) bool
	// Forbidden are import paths; each stands for its subtree as well. Paths
	// inside the module are written relative to it, with a leading "./".
	Forbidden []string
	// Allowed are those below Forbidden that are not.
	Allowed []string
	// OnlyStandard turns the rule around: nothing outside the standard
	// library may be imported.
	OnlyStandard bool
}

// What lies under github.com/caddyserver is Caddy; what lies under
// github.com/dgraph-io is Badger.
const (
	caddy  = "github.com/caddyserver"
	badger = "github.com/dgraph-io"
)

// adapter lists the directories that may know of Caddy.
var adapter = []string{"cmd", "caddymodule", "e2e", "bench"}

// outside lists what is no part of the program that users run: tests, doubles,
// real peers for tests, and tools.
var outside = []string{"internal/lab", "internal/dev", "e2e", "bench", "cmd/demo"}

// contract is what guests implement, wherever they are.
const contract = "caddymodule/guest"

// assembly puts the handlers and the domain together: the program without Caddy.
const assembly = "internal/instance"

// arrows are the import rules of the architecture.
var arrows = []arrow{
	{
		Why:       "only the root, cmd/, caddymodule/, e2e/ and bench/ may know of Caddy",
		From:      func(dir string) bool { return dir != "." && !under(dir, adapter...) },
		Forbidden: []string{caddy},
	},
	{
		Why:  "internal/verification is pure: no HTTP, no Caddy, no database, no mail",
		From: func(dir string) bool { return under(dir, "internal/verification") },
		Forbidden: []string{
			"net/http", "net/smtp", caddy, badger, "./store/badgerstore", "./internal/outbox",
			"github.com/emersion", "github.com/jordan-wright/email",
		},
	},
	{
		Why:          "store is a contract: it imports the standard library only",
		From:         func(dir string) bool { return dir == "store" },
		OnlyStandard: true,
	},
	{
		Why:          "threepid has values: it imports the standard library only",
		From:         func(dir string) bool { return dir == "internal/threepid" },
		OnlyStandard: true,
	},
	{
		Why:       "ratelimit says how often, and knows neither sessions nor requests",
		From:      func(dir string) bool { return dir == "internal/ratelimit" },
		Forbidden: []string{"./internal/verification", "net/http"},
	},
	{
		Why:       "guest is a contract: whoever implements it needs nothing of ours but package store",
		From:      func(dir string) bool { return dir == contract },
		Forbidden: []string{caddy, "./internal", "./handlers", "./caddymodule"},
	},
	{
		Why:       "only a store's own package may know of its database",
		From:      func(dir string) bool { return under(dir, "handlers", "internal", "store/storetest") },
		Forbidden: []string{badger, "./store/badgerstore"},
	},
	{
		Why:       "the domain and its stores do not know who uses them",
		From:      func(dir string) bool { return under(dir, "internal", "store") && !under(dir, assembly) },
		Forbidden: []string{"./handlers", "./" + assembly, "./caddymodule"},
		Allowed:   []string{"./" + contract},
	},
	{
		Why:       "what is assembled does not know who runs it",
		From:      func(dir string) bool { return under(dir, assembly) },
		Forbidden: []string{"./caddymodule"},
		Allowed:   []string{"./" + contract},
	},
	{
		Why:       "the program imports no doubles and no tools",
		From:      func(dir string) bool { return !under(dir, outside...) },
		Forbidden: []string{"./internal/lab", "./internal/dev"},
	},
	{
		Why:       "handlers is used by caddymodule, not the other way round",
		From:      func(dir string) bool { return under(dir, "handlers") },
		Forbidden: []string{"./" + assembly, "./caddymodule"},
	},
}

// checkArrows returns a message for every package that breaks a rule.
func checkArrows(g *graph, rules []arrow) []string {
	var broken []string
	for _, dir := range g.own() {
		for _, rule := range rules {
			if !rule.From(dir) {
				continue
			}
			if chain := g.chain(g.absolute(dir), rule.forbids(g)); chain != nil {
				broken = append(broken, fmt.Sprintf("%s: %s", strings.Join(chain, " -> "), rule.Why))
			}
		}
	}
	return broken
}

// forbids compiles the rule to a predicate over import paths.
func (a arrow) forbids(g *graph) func(string) bool {
	if a.OnlyStandard {
		return func(importPath string) bool {
			p := g.pkgs[importPath]
			return p == nil || !p.Standard
		}
	}
	roots, allowed := g.absolutes(a.Forbidden), g.absolutes(a.Allowed)
	return func(importPath string) bool { return under(importPath, roots...) && !under(importPath, allowed...) }
}

// absolutes are import paths, of which those inside the module begin with "./".
func (g *graph) absolutes(paths []string) (list []string) {
	for _, path := range paths {
		if dir, inside := strings.CutPrefix(path, "./"); inside {
			path = g.absolute(dir)
		}
		list = append(list, path)
	}
	return list
}

// checkTestImports returns a message for every package outside the adapter
// whose tests import Caddy. Tests may use more than the code they test, but a
// test that needs Caddy tests the adapter and belongs there.
func checkTestImports(g *graph) []string {
	var broken []string
	for _, dir := range g.own() {
		if under(dir, adapter...) {
			continue
		}
		p := g.pkgs[g.absolute(dir)]
		for _, importPath := range slices.Concat(p.TestImports, p.XTestImports) {
			if under(importPath, caddy) {
				broken = append(broken, fmt.Sprintf(
					"the tests of %s import %s: tests that need Caddy belong to caddymodule/ or e2e/", dir, importPath))
			}
		}
	}
	return broken
}

// under reports whether path is one of the roots or lies below one.
func under(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}
