// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"slices"
	"strings"
	"testing"
)

const (
	repository = "../../.."
	tags       = "nobadger,nomysql,nopgx"
)

// TestArrows reads the module itself.
func TestArrows(t *testing.T) {
	g, err := loadGraph(repository, tags)
	if err != nil {
		t.Fatal(err)
	}
	// A rule over packages that do not exist would pass for ever.
	for _, dir := range []string{"internal/dev/archtest", "store", "cmd/caddy"} {
		if !slices.Contains(g.own(), dir) {
			t.Errorf("go list did not report %s", dir)
		}
	}
	for _, message := range checkArrows(g, arrows) {
		t.Error(message)
	}
	for _, message := range checkTestImports(g) {
		t.Error(message)
	}
}

// fakeGraph is a module example.org/m of the given imports. Paths without a dot
// in their first element are the standard library; "m/…" are the module's own.
func fakeGraph(imports map[string][]string) *graph {
	const module = "example.org/m"
	g := &graph{module: module, pkgs: map[string]*pkg{}}
	expand := func(path string) string {
		if path == "m" || strings.HasPrefix(path, "m/") {
			return "example.org/" + path
		}
		return path
	}
	add := func(path string) *pkg {
		full := expand(path)
		if g.pkgs[full] == nil {
			p := &pkg{ImportPath: full}
			first, _, _ := strings.Cut(full, "/")
			p.Standard = !strings.Contains(first, ".")
			if under(full, module) {
				p.Module = &struct {
					Path string
					Main bool
				}{module, true}
			}
			g.pkgs[full] = p
		}
		return g.pkgs[full]
	}
	for from, targets := range imports {
		p := add(from)
		for _, to := range targets {
			if testOnly, found := strings.CutPrefix(to, "test:"); found {
				p.TestImports = append(p.TestImports, expand(testOnly))
				continue
			}
			p.Imports = append(p.Imports, add(to).ImportPath)
		}
	}
	return g
}

func TestCheckArrows(t *testing.T) {
	const caddyModule, badgerModule = "github.com/caddyserver/caddy/v2", "github.com/dgraph-io/badger/v4"
	tests := []struct {
		name    string
		imports map[string][]string
		want    string // empty if nothing is broken
	}{
		{"as designed", map[string][]string{
			"m":                       {"m/caddymodule"},
			"m/cmd/caddy":             {"m", caddyModule + "/cmd"},
			"m/caddymodule":           {caddyModule, "m/handlers", "m/store/badgerstore", "m/internal/outbox"},
			"m/handlers":              {"net/http", "m/internal/verification"},
			"m/internal/verification": {"crypto/sha256", "m/store"},
			"m/internal/outbox":       {"github.com/emersion/go-smtp", "m/store"},
			"m/store":                 {"context", "time"},
			"m/store/badgerstore":     {badgerModule, "m/store"},
			"m/e2e":                   {caddyModule},
			"m/bench/load":            {caddyModule},
		}, ""},
		{"handlers know Caddy", map[string][]string{"m/handlers": {caddyModule}}, "handlers -> github.com/caddyserver/caddy/v2: only the root"},
		{"a library of Caddy", map[string][]string{"m/internal/x": {"github.com/caddyserver/certmagic"}}, "internal/x -> github.com/caddyserver/certmagic"},
		{"Caddy through another package", map[string][]string{
			"m/handlers": {"example.com/helper"}, "example.com/helper": {caddyModule},
		}, "handlers -> example.com/helper -> github.com/caddyserver/caddy/v2"},
		{"a directory that is only called like one", map[string][]string{"m/cmdline": {caddyModule}}, "cmdline -> "},
		{"domain with HTTP", map[string][]string{"m/internal/verification": {"net/http"}}, "internal/verification -> net/http: internal/verification is pure"},
		{"domain with HTTP below", map[string][]string{
			"m/internal/verification": {"m/internal/clock"}, "m/internal/clock": {"net/http/httptrace"},
		}, "internal/verification -> internal/clock -> net/http/httptrace"},
		{"domain with mail", map[string][]string{"m/internal/verification": {"github.com/emersion/go-smtp"}}, "is pure"},
		{"domain with old mail", map[string][]string{"m/internal/verification": {"net/smtp"}}, "is pure"},
		{"store with a library", map[string][]string{"m/store": {"golang.org/x/text/cases"}}, "store -> golang.org/x/text/cases: store is a contract"},
		{"store with the module", map[string][]string{"m/store": {"m/internal/x"}}, "store -> internal/x: store is a contract"},
		{"handlers know the database", map[string][]string{"m/handlers": {"m/store/badgerstore"}}, "handlers -> store/badgerstore: only a store's own package"},
		{"delivery knows the database", map[string][]string{"m/internal/outbox": {badgerModule}}, "internal/outbox -> github.com/dgraph-io/badger/v4"},
		{"store knows its user", map[string][]string{"m/store/badgerstore": {"m/handlers"}}, "store/badgerstore -> handlers: the domain"},
		{"handlers know a double", map[string][]string{"m/handlers": {"m/internal/lab/fakeis"}}, "handlers -> internal/lab/fakeis: the program imports no doubles"},
		{"a double through another package", map[string][]string{
			"m/internal/mail": {"m/internal/x"}, "m/internal/x": {"m/internal/dev/xbuild"},
		}, "internal/mail -> internal/x -> internal/dev/xbuild: the program"},
		{"a double knows another, and a tool", map[string][]string{
			"m/internal/lab/stack": {"m/internal/lab/fakehs", "m/internal/dev/xbuild"}, "m/cmd/demo": {"m/internal/lab/stack"},
		}, ""},
		{"a contract that only we can implement", map[string][]string{"m/caddymodule/guest": {"m/internal/mail"}}, "caddymodule/guest -> internal/mail: guest is a contract"},
		{"what is assembled knows the contract", map[string][]string{"m/internal/instance": {"m/caddymodule/guest"}, "m/internal/outbox": {"m/caddymodule/guest"}}, ""},
		{"the domain knows what is made of it", map[string][]string{"m/internal/outbox": {"m/internal/instance"}}, "internal/outbox -> internal/instance: the domain"},
		{"what is made of it knows the handlers", map[string][]string{"m/internal/instance": {"m/handlers", "m/internal/outbox"}}, ""},
		{"what is assembled knows the adapter", map[string][]string{"m/internal/instance": {"m/caddymodule"}}, "internal/instance -> caddymodule: what is assembled"},
		{"handlers know the adapter", map[string][]string{"m/handlers": {"m/caddymodule"}}, "handlers -> caddymodule: handlers is used by"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(checkArrows(fakeGraph(tt.imports), arrows), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckTestImports(t *testing.T) {
	g := fakeGraph(map[string][]string{
		"m/caddymodule": {"test:github.com/caddyserver/caddy/v2"},
		"m/handlers":    {"test:m/store/badgerstore"},
		"m/store":       {"test:github.com/caddyserver/caddy/v2"},
	})
	got := checkTestImports(g)
	if len(got) != 1 || !strings.Contains(got[0], "the tests of store import github.com/caddyserver/caddy/v2") {
		t.Errorf("got %q, want one message about store", got)
	}
}

func TestParseGraphRefuses(t *testing.T) {
	tests := map[string]string{
		"":                                     "found none of the module's own",
		"{":                                    "decode package",
		`{"Imports":1}`:                        "decode package",
		`{"ImportPath":"fmt","Standard":true}`: "found none of the module's own",
	}
	for text, want := range tests {
		if _, err := parseGraph(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
