// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// threatModel is a document that names one test in every row.
func threatModel() string {
	var b strings.Builder
	for _, t := range securityTables {
		b.WriteString("# Security\n\nProse, `store.TestProse`.\n\n" + t.Heading + "\n\n| | what happened | test |\n|---|---|---|\n")
		for _, n := range t.Rows {
			fmt.Fprintf(&b, "| %d | row | `a.TestRow%d` |\n", n, n)
		}
		b.WriteString("\n## Next\n\n| 99 | `a.TestNext` |\n")
	}
	return b.String()
}

func provenBy(text string) input {
	in := input{Run: results{}}
	for _, id := range namedTests(text) {
		in.Run[id] = passed
	}
	return in
}

func TestSecurityIsChecked(t *testing.T) {
	good := threatModel()
	tests := []struct {
		name   string
		change func(text string, in input) (string, input)
		want   string // of the only problem; none if empty
	}{
		{"good", func(text string, in input) (string, input) { return text, in }, ""},
		{"two rows in one", func(text string, in input) (string, input) {
			text = strings.Replace(text, "| 7 | row | `a.TestRow7` |\n", "", 1)
			return strings.Replace(text, "| 26 | row", "| 7, 26 | row", 1), in
		}, ""},
		{"a row is missing", func(text string, in input) (string, input) {
			return strings.Replace(text, "| 29 | row | `a.TestRow29` |\n", "", 1), in
		}, "has no row 29"},
		{"a row without a test", func(text string, in input) (string, input) {
			return strings.Replace(text, "`a.TestRow30`", "none", 1), in
		}, "row 30 of \"## What others were attacked with\" names no test"},
		{"a test that does not exist", func(text string, in input) (string, input) {
			return text + "`internal/x.TestGone`\n", in
		}, "names internal/x.TestGone, which does not exist or did not run"},
		{"a test that failed", func(text string, in input) (string, input) {
			in.Run[testID{"store", "TestProse"}] = failed
			return text, in
		}, "names store.TestProse, which did not pass (fail)"},
		{"a test that was skipped here", func(text string, in input) (string, input) {
			in.Run[testID{"store", "TestProse"}] = skipped
			return text, in
		}, ""},
		{"a test that was skipped where all must run", func(text string, in input) (string, input) {
			in.Run[testID{"store", "TestProse"}] = skipped
			in.Strict = true
			return text, in
		}, "names store.TestProse, which did not pass (skip)"},
		{"a subtest", func(text string, in input) (string, input) {
			in.Run[testID{"e2e", "TestAll/off"}] = passed
			return text + "`e2e.TestAll/off` `e2e.TestAll/on`\n", in
		}, "names e2e.TestAll/on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, in := tt.change(good, provenBy(good))
			var rep report
			rep.checkSecurity(text, in)
			switch {
			case tt.want == "" && len(rep.Problems) > 0:
				t.Errorf("got %q, want nothing", rep.Problems)
			case tt.want != "" && (len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], tt.want)):
				t.Errorf("got %q, want %q alone", rep.Problems, tt.want)
			}
		})
	}
}

// TestCommittedThreatModel looks at the document of this repository before a
// whole run is judged by it: are its tables complete, and is there a function
// for every test that it names?
func TestCommittedThreatModel(t *testing.T) {
	const root = "../../../"
	raw, err := os.ReadFile(root + securityDocument)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	in := provenBy(text)
	for _, id := range namedTests(text) {
		if !declared(t, root+id.Package, id.Name) {
			delete(in.Run, id)
		}
	}
	var rep report
	rep.checkSecurity(text, in)
	for _, problem := range rep.Problems {
		t.Error(problem)
	}
	if got := len(namedTests(text)); got < 60 {
		t.Errorf("the document names %d tests, want one for each row at least", got)
	}
}

// declared reports whether a package's tests declare a function.
func declared(t *testing.T, dir, name string) bool {
	t.Helper()
	name, _, _ = strings.Cut(name, "/")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			return false
		}
		raw, err := os.ReadFile(dir + "/" + e.Name())
		return err == nil && strings.Contains(string(raw), "\nfunc "+name+"(")
	})
}
