// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// config is the part of xcaddy's Builder that this project uses. Anything else
// in the file is an error: a setting that is silently ignored builds a program
// other than the one that was asked for.
type config struct {
	CaddyVersion string        `json:"caddy_version"`
	Plugins      []plugin      `json:"plugins"`
	Replacements []replacement `json:"replacements,omitempty"`
}

// plugin is a package to compile in. Version may be empty only if the module
// that holds the package is replaced.
type plugin struct {
	ModulePath string `json:"module_path"`
	Version    string `json:"version,omitempty"`
}

// replacement points a module at a directory. Relative directories are meant
// from the directory of the file.
type replacement struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// readConfig reads and checks a file and makes its directories absolute: the
// build happens in a temporary directory, where "." means something else.
func readConfig(file string) (config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return config{}, err
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, fmt.Errorf("read %s: %w", file, err)
	}
	base, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return config{}, err
	}
	for i, r := range c.Replacements {
		if !filepath.IsAbs(r.New) {
			c.Replacements[i].New = filepath.Join(base, r.New)
		}
	}
	return c, nil
}

// parseConfig decodes strictly.
func parseConfig(text []byte) (config, error) {
	var c config
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, err
	}
	if dec.More() {
		return c, errors.New("text after the object")
	}
	return c, c.check()
}

var (
	versionPattern = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)
	pathPattern    = regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9._~-]+)+$`)
)

// check refuses what would build something by chance or not at all. The values
// become arguments of the go command, hence the narrow patterns.
func (c config) check() error {
	if !versionPattern.MatchString(c.CaddyVersion) {
		return fmt.Errorf("caddy_version %q is not an exact version", c.CaddyVersion)
	}
	if len(c.Plugins) == 0 {
		return errors.New("plugins is empty")
	}
	for _, r := range c.Replacements {
		if !pathPattern.MatchString(r.Old) {
			return fmt.Errorf("replacement: old %q is not a module path", r.Old)
		}
		if r.New == "" {
			return fmt.Errorf("replacement of %s: new is empty", r.Old)
		}
	}
	for _, p := range c.Plugins {
		if !pathPattern.MatchString(p.ModulePath) {
			return fmt.Errorf("module_path %q is not a module path", p.ModulePath)
		}
		_, replaced := c.replacementFor(p)
		switch {
		case p.Version == "" && !replaced:
			return fmt.Errorf("plugin %s has neither a version nor a replacement", p.ModulePath)
		case p.Version != "" && !versionPattern.MatchString(p.Version):
			return fmt.Errorf("plugin %s: version %q is not an exact version", p.ModulePath, p.Version)
		}
	}
	return nil
}

// replacementFor returns the replacement of the module that holds a plugin,
// which may be a package below the module's root.
func (c config) replacementFor(p plugin) (replacement, bool) {
	for _, r := range c.Replacements {
		if p.ModulePath == r.Old || strings.HasPrefix(p.ModulePath, r.Old+"/") {
			return r, true
		}
	}
	return replacement{}, false
}
