// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `{
	"caddy_version": "v2.11.9",
	"plugins": [
		{"module_path": "example.org/m"},
		{"module_path": "example.org/m/sub"},
		{"module_path": "example.org/other", "version": "v1.2.3"}
	],
	"replacements": [{"old": "example.org/m", "new": "./here"}, {"old": "example.org/x", "new": "/there"}]
}`

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "xcaddy.json")
	if err := os.WriteFile(file, []byte(goodConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.CaddyVersion, "v2.11.9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := c.Plugins[2], (plugin{"example.org/other", "v1.2.3"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := c.Replacements[0], (replacement{"example.org/m", filepath.Join(dir, "here")}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := c.Replacements[1].New, "/there"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown field", `"plugins"`, `"build_flags": "-v", "plugins"`, `unknown field "build_flags"`},
		{"unknown field inside", `"old": "example.org/m"`, `"older": "example.org/m"`, `unknown field "older"`},
		{"wrong type", `"v2.11.9"`, `2`, "cannot unmarshal"},
		{"a second object", "there\"}]\n}", "there\"}]\n} {}", "text after the object"},
		{"no Caddy", `"v2.11.9"`, `""`, `caddy_version "" is not an exact version`},
		{"any Caddy", `"v2.11.9"`, `"latest"`, `caddy_version "latest"`},
		{"version without v", `"v2.11.9"`, `"2.11.9"`, `caddy_version "2.11.9"`},
		{"plugin as a flag", `"example.org/other"`, `"-x"`, `module_path "-x" is not a module path`},
		{"plugin without a host", `"example.org/other"`, `"fmt"`, `module_path "fmt"`},
		{"plugin without a version", `, "version": "v1.2.3"`, ``, "plugin example.org/other has neither a version nor a replacement"},
		{"plugin of any version", `"v1.2.3"`, `"main"`, `plugin example.org/other: version "main"`},
		{"replaced neighbour", `"old": "example.org/m"`, `"old": "example.org/mm"`, "plugin example.org/m has neither"},
		{"replacement by nothing", `"./here"`, `""`, "replacement of example.org/m: new is empty"},
		{"replacement of nothing", `"old": "example.org/x"`, `"old": ""`, `old "" is not a module path`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(goodConfig, tt.old, tt.new, 1)
			if text == goodConfig {
				t.Fatal("the case changes nothing")
			}
			if _, err := parseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := parseConfig([]byte(`{"caddy_version": "v2.11.9"}`)); err == nil || !strings.Contains(err.Error(), "plugins is empty") {
		t.Errorf("got %v, want an error about plugins", err)
	}
}

func TestMainSource(t *testing.T) {
	c, err := parseConfig([]byte(goodConfig))
	if err != nil {
		t.Fatal(err)
	}
	const want = `package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "example.org/m"
	_ "example.org/m/sub"
	_ "example.org/other"
)

func main() { caddycmd.Main() }
`
	if got := mainSource(c); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{
		"say where to write":   {},
		"flag provided but":    {"-nonsense"},
		"no such file":         {"-o", filepath.Join(dir, "caddy"), "-config", filepath.Join(dir, "none.json")},
		"read " + broken + ":": {"-o", filepath.Join(dir, "caddy"), "-config", broken},
	}
	for want, args := range tests {
		if err := run(context.Background(), args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}
