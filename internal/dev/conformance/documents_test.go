// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	mentionedTest    = regexp.MustCompile("`(?:([a-z][a-z0-9/]*)\\.)?((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)[^`…]*`") // not `TestF1_…`, which stands for many
	mentionedPackage = regexp.MustCompile("`((?:caddymodule|cmd|e2e|handlers|internal)/[a-z0-9/]+)[`./]")
	declaration      = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)\(`)
)

// TestDocumentsNameWhatThereIs: tests and packages are moved, and what is written
// about them stays behind.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	const root = "../../../"
	tests := testsOf(t, root)
	mentions := 0
	for _, path := range documents(t, root) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mentionedTest.FindAllStringSubmatch(string(raw), -1) {
			mentions++
			if !slices.ContainsFunc(tests[m[2]], func(dir string) bool { return m[1] == "" || dir == m[1] || strings.HasSuffix(dir, "/"+m[1]) }) {
				t.Errorf("%s names %s, which does not exist", path, m[0])
			}
		}
		for _, m := range mentionedPackage.FindAllStringSubmatch(string(raw), -1) {
			mentions++
			if !exists(root + m[1]) {
				t.Errorf("%s names %s, which does not exist", path, m[0])
			}
		}
	}
	if mentions < 100 {
		t.Errorf("found %d mentions; are they written in another way now?", mentions)
	}
}

// exists reports a folder, or a file of which the name is cut before its ending.
func exists(path string) bool {
	if _, err := os.Stat(path); err == nil {
		return true
	}
	found, _ := filepath.Glob(path + ".*")
	return len(found) > 0
}

// documents are what people read.
func documents(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(root + pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: found %d, %v", pattern, len(paths), err)
		}
		found = append(found, paths...)
	}
	// What has changed speaks of what there was.
	return slices.DeleteFunc(found, func(path string) bool { return filepath.Base(path) == "CHANGELOG.md" })
}

// testsOf lists the packages that declare a test of each name.
func testsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "build" || path == "bin" || strings.HasPrefix(path, ".g")):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		raw, err := os.ReadFile(root + path)
		for _, m := range declaration.FindAllStringSubmatch(string(raw), -1) {
			tests[m[1]] = append(tests[m[1]], filepath.ToSlash(filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
