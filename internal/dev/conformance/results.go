// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// testID names one test or subtest. Package is relative to the module, "." for
// its root; Name is empty for the package's own result.
type testID struct {
	Package, Name string
}

// String is how the document names a test.
func (t testID) String() string {
	if t.Name == "" {
		return t.Package
	}
	return t.Package + "." + t.Name
}

// Outcomes of a test as `go test -json` calls them, and one of our own for a
// test that was started and never reported, as after a panic or a timeout.
const (
	passed     = "pass"
	failed     = "fail"
	skipped    = "skip"
	unfinished = "unfinished"
)

// results maps every test of a run to its outcome.
type results map[testID]string

// event is the part of a `go test -json` line that matters here; see
// `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test string
}

// parseResults reads the output of `go test -json`. Lines that are not JSON are
// the go command's own remarks and are passed over.
func parseResults(r io.Reader, module string) (results, error) {
	run := results{}
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 && text[0] == '{' {
			var e event
			if err := json.Unmarshal(text, &e); err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			run.record(e, module)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	for id := range run {
		if id.Name != "" {
			return run, nil
		}
	}
	return nil, errors.New("no test ran")
}

// record folds one event into the results.
func (r results) record(e event, module string) {
	if e.Action == "build-fail" {
		r[testID{Package: relative(e.ImportPath, module)}] = failed
		return
	}
	id := testID{Package: relative(e.Package, module), Name: e.Test}
	switch e.Action {
	case "run":
		if r[id] == "" {
			r[id] = unfinished
		}
	case passed, failed:
		// A test that was run twice has to pass twice.
		if r[id] != failed {
			r[id] = e.Action
		}
	case skipped:
		// A package without test files reports a skip of its own.
		if e.Test != "" {
			r[id] = skipped
		}
	}
}

// relative shortens an import path to one inside the module. The go command
// appends the test binary it was building, as in "pkg [pkg.test]".
func relative(importPath, module string) string {
	importPath, _, _ = strings.Cut(importPath, " ")
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// with returns the tests that ended in one of the outcomes, sorted by name.
func (r results) with(outcomes ...string) []testID {
	var ids []testID
	for id, outcome := range r {
		if slices.Contains(outcomes, outcome) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareTests)
	return ids
}

// skippedAround reports whether the test, or one that it runs inside, was
// skipped, so that this run says nothing about it.
func (r results) skippedAround(id testID) bool {
	for _, name := range append(ancestors(id.Name), id.Name) {
		if r[testID{Package: id.Package, Name: name}] == skipped {
			return true
		}
	}
	return false
}

// compareTests orders tests as the document lists them.
func compareTests(a, b testID) int {
	if c := strings.Compare(a.Package, b.Package); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
