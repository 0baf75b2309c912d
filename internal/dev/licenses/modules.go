// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// module is one that is linked, with where its linked packages lie.
type module struct {
	Path, Version string
	dir           string
	packages      []string
	// Licences are SPDX identifiers, sorted; Unknown are files whose text was
	// not recognised, relative to the module.
	Licences, Unknown []string
}

// list returns the modules that packages are linked from, sorted by path,
// without this one.
func list(root string, packages ...string) ([]*module, error) {
	args := append([]string{"list", "-deps", "-tags", tags, "-json=Dir,Standard,Module"}, packages...)
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w\n%s", err, stderr.String())
	}
	return parse(bytes.NewReader(out))
}

// parse reads the output of `go list -deps -json`.
func parse(r io.Reader) ([]*module, error) {
	type replaceable struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
	var modules []*module
	byPath := map[string]*module{}
	for dec := json.NewDecoder(r); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *replaceable
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("decode package: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{Path: p.Module.Path, Version: p.Module.Version, dir: p.Module.Dir}
			if r := p.Module.Replace; r != nil {
				m.Version, m.dir = r.Path+" "+r.Version, r.Dir
			}
			byPath[m.Path] = m
			modules = append(modules, m)
		}
		m.packages = append(m.packages, p.Dir)
	}
	slices.SortFunc(modules, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// without returns the modules that are not among others.
func without(modules, others []*module) []*module {
	return slices.DeleteFunc(slices.Clone(modules), func(m *module) bool {
		return slices.ContainsFunc(others, func(o *module) bool { return o.Path == m.Path })
	})
}

// licenceFile matches the files that licences are kept in. A NOTICE is none: it
// is what a licence asks to be passed on.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]es?|copying)([.-].*)?$`)

// enough is the share of a file, in per cent, that has to be the text of
// licences: the rest are names and years.
const enough = 75

// find looks for licences in the module's folder, and in those of the packages
// that are linked and of their parents: some have code of others.
func (m *module) find() error {
	seen := map[string]bool{}
	for _, dir := range append([]string{m.dir}, m.packages...) {
		for ; !seen[dir] && strings.HasPrefix(dir, m.dir); dir = filepath.Dir(dir) {
			seen[dir] = true
			if err := m.read(dir); err != nil {
				return fmt.Errorf("look for the licence of %s: %w", m.Path, err)
			}
		}
	}
	slices.Sort(m.Licences)
	m.Licences = slices.Compact(m.Licences)
	return nil
}

func (m *module) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) || ext == ".go" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found := licensecheck.Scan(text)
		if found.Percent < enough {
			m.Unknown = append(m.Unknown, strings.TrimPrefix(path, m.dir+string(filepath.Separator)))
			continue
		}
		for _, match := range found.Match {
			m.Licences = append(m.Licences, match.ID)
		}
	}
	return nil
}
