// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const caddyModule = "github.com/caddyserver/caddy/v2"

// The flags of xcaddy, and of this project's Makefile: a build of one uses the
// build cache of the other.
var buildFlags = []string{"-trimpath", "-ldflags", "-s -w", "-tags", "nobadger,nomysql,nopgx"}

// builder carries out one build in a directory of its own.
type builder struct {
	config config
	dir    string
	log    io.Writer
}

// build builds the program into output.
func build(ctx context.Context, c config, output string, log io.Writer) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "xbuild-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := builder{config: c, dir: dir, log: log}
	for _, step := range []func(context.Context) error{b.writeModule, b.requireCaddy, b.requirePlugins} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	args := append([]string{"build", "-mod=mod", "-o", output}, buildFlags...)
	return b.goCommand(ctx, args...)
}

// writeModule lays out the temporary module.
func (b *builder) writeModule(ctx context.Context) error {
	main := filepath.Join(b.dir, "main.go")
	if err := os.WriteFile(main, []byte(mainSource(b.config)), 0o600); err != nil {
		return err
	}
	if err := b.seedSums(); err != nil {
		return err
	}
	if err := b.goCommand(ctx, "mod", "init", "caddy"); err != nil {
		return err
	}
	for _, r := range b.config.Replacements {
		if err := b.goCommand(ctx, "mod", "edit", "-replace", r.Old+"="+r.New); err != nil {
			return err
		}
	}
	return nil
}

// mainSource is the whole program.
func mainSource(c config) string {
	var s strings.Builder
	s.WriteString("package main\n\nimport (\n\t_ \"time/tzdata\"\n\n")
	fmt.Fprintf(&s, "\tcaddycmd %q\n\t_ %q\n", caddyModule+"/cmd", caddyModule+"/modules/standard")
	for _, p := range c.Plugins {
		fmt.Fprintf(&s, "\t_ %q\n", p.ModulePath)
	}
	s.WriteString(")\n\nfunc main() { caddycmd.Main() }\n")
	return s.String()
}

// seedSums starts the module with the checksums of the replaced directories.
// They were verified when they were committed; asking the checksum database for
// all of them again would be the only thing that needs the network.
func (b *builder) seedSums() error {
	var sums []string
	for _, r := range b.config.Replacements {
		text, err := os.ReadFile(filepath.Join(r.New, "go.sum"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		sums = append(sums, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	}
	slices.Sort(sums)
	text := strings.Join(slices.Compact(sums), "\n") + "\n"
	return os.WriteFile(filepath.Join(b.dir, "go.sum"), []byte(text), 0o600) //nolint:gosec // G703: the path is our own temporary directory
}

// requireCaddy fixes Caddy's version before a plugin can ask for another.
func (b *builder) requireCaddy(ctx context.Context) error {
	return b.goCommand(ctx, "mod", "edit", "-require", caddyModule+"@"+b.config.CaddyVersion)
}

// requirePlugins adds the plugins. A replaced module has no version to look up;
// it gets the one that the go command itself gives to such a module.
func (b *builder) requirePlugins(ctx context.Context) error {
	for _, p := range b.config.Plugins {
		args := []string{"get", p.ModulePath + "@" + p.Version, caddyModule + "@" + b.config.CaddyVersion}
		if r, replaced := b.config.replacementFor(p); replaced {
			version := p.Version
			if version == "" {
				version = "v0.0.0-00010101000000-000000000000"
			}
			args = []string{"mod", "edit", "-require", r.Old + "@" + version}
		}
		if err := b.goCommand(ctx, args...); err != nil {
			return err
		}
	}
	// Loading the program completes go.mod with the versions that Caddy and the
	// plugins agree on.
	if err := b.goCommand(ctx, "list", "-mod=mod", "-deps", "."); err != nil {
		return err
	}
	return b.checkCaddy(ctx)
}

// checkCaddy refuses a build in which a plugin lifted Caddy to a version other
// than the one that was asked for.
func (b *builder) checkCaddy(ctx context.Context) error {
	var out bytes.Buffer
	cmd := b.command(ctx, "list", "-mod=mod", "-m", "-f", "{{.Version}}", caddyModule)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ask for the version of Caddy: %w", err)
	}
	if got := strings.TrimSpace(out.String()); got != b.config.CaddyVersion {
		return fmt.Errorf("a plugin requires Caddy %s, caddy_version is %s", got, b.config.CaddyVersion)
	}
	return nil
}

// goCommand runs the go command in the temporary module. What the go command
// has to say to a person it says on its standard error.
func (b *builder) goCommand(ctx context.Context, args ...string) error {
	fmt.Fprintln(b.log, "+ go", strings.Join(args, " "))
	cmd := b.command(ctx, args...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run go %s: %w", args[0], err)
	}
	return nil
}

// command prepares a go command whose result does not depend on the workspace
// or the settings of whoever runs it.
func (b *builder) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.dir
	cmd.Stderr = b.log
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	return cmd
}
