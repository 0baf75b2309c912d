// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRenderAndParse(t *testing.T) {
	rows := []row{
		{
			requirement: requirement{"R1", "`a|b` works", "S1|2"}, State: stateProven,
			Proofs: []testID{{"a", "TestR1_X"}, {"e2e", "TestAll/R1_a|b"}},
		},
		{requirement: requirement{"R2", "half", "S2"}, State: statePartial, Reason: "rest later", Proofs: []testID{{".", "FuzzR2"}}},
		{requirement: requirement{"F1", "none", "S3"}, State: stateOpen, Reason: "later"},
		{requirement: requirement{"F2", "gone", "S4"}, State: stateMissing},
	}
	document := render(rows)
	for _, want := range []string{
		"4 requirements: 1 proven, 1 proven in part, 1 open, **1 without a test**.\n",
		"| R1 | `a\\|b` works | S1\\|2 | `a.TestR1_X`<br>`e2e.TestAll/R1_a\\|b` | proven |\n",
		"| R2 | half | S2 | `..FuzzR2` | proven; rest later |\n",
		"| F1 | none | S3 |  | open: later |\n",
		"| F2 | gone | S4 |  | missing |\n",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("got %s\nwant it to contain %q", document, want)
		}
	}
	proofs := parseDocument(document)
	for _, r := range rows {
		if got, want := fmt.Sprint(proofs[r.ID]), fmt.Sprint(r.Proofs); got != want {
			t.Errorf("%s: got %s, want %s", r.ID, got, want)
		}
	}
}

// project lays out a module whose tests prove everything that has to be proven,
// and returns its directory.
func project(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	table, events := "id\trequirement\tsource\n", ""
	for i := range requirementCount {
		table += fmt.Sprintf("R%d\ttext\tsource\n", i+1)
		if i > 0 {
			events += passEvent(fmt.Sprintf("TestR%d_X", i+1))
		}
	}
	put(t, root, "go.mod", "module "+testModule+"\n\ngo 1.26.0\n")
	put(t, root, "docs/requirements.tsv", table)
	put(t, root, securityDocument, threatModel())
	for _, id := range namedTests(threatModel()) {
		events += fmt.Sprintf("{\"Action\":\"pass\",\"Package\":%q,\"Test\":%q}\n", testModule+"/"+id.Package, id.Name)
	}
	put(t, root, "docs/open.tsv", lines("id\tstate\treason", "R1\topen\tlater"))
	put(t, root, "run.json", events)
	return root
}

func passEvent(test string) string {
	return fmt.Sprintf("{\"Action\":\"pass\",\"Package\":%q,\"Test\":%q}\n", testModule+"/a", test)
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// command runs the program in a project and returns what it printed.
func command(root string, strict bool, args ...string) (string, error) {
	var out strings.Builder
	err := run(append([]string{"-root", root, "-run", filepath.Join(root, "run.json")}, args...), strict, &out)
	return out.String(), err
}

func TestCheckAfterWrite(t *testing.T) {
	root := project(t)
	if out, err := command(root, true, "-check"); err == nil || !strings.Contains(out, "run `make conformance`") {
		t.Fatalf("without a document: got %v, %s", err, out)
	}
	if out, err := command(root, true, "-write"); err != nil {
		t.Fatalf("write: %v, %s", err, out)
	}
	out, err := command(root, true, "-check")
	if err != nil {
		t.Fatalf("check: %v, %s", err, out)
	}
	if want := "102 requirements, 101 proven, 0 proven in part, 1 open"; !strings.Contains(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestCheckFindsChange(t *testing.T) {
	document := filepath.Join("docs", "conformance.md")
	tests := []struct {
		name   string
		strict bool
		change func(t *testing.T, root string)
		want   string
	}{
		{"edited document", false, func(t *testing.T, root string) {
			text, err := os.ReadFile(filepath.Join(root, document))
			if err != nil {
				t.Fatal(err)
			}
			put(t, root, document, strings.Replace(string(text), "# Conformance", "# Perfection", 1))
		}, "first difference in line 1)"},
		{"new proof", false, func(t *testing.T, root string) {
			text, err := os.ReadFile(filepath.Join(root, "run.json"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, root, "run.json", string(text)+passEvent("TestR2_Also"))
		}, "run `make conformance`"},
		{"lost proof", false, func(t *testing.T, root string) {
			put(t, root, "run.json", passEvent("TestR2_X"))
		}, "the document names a.TestR3_X, which does not exist"},
		{"threat model names what does not exist", false, func(t *testing.T, root string) {
			put(t, root, securityDocument, threatModel()+"`a.TestGone`\n")
		}, "docs/security.md names a.TestGone, which does not exist"},
		{"skip in CI", true, func(t *testing.T, root string) {
			text, err := os.ReadFile(filepath.Join(root, "run.json"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, root, "run.json", string(text)+`{"Action":"skip","Package":"example.org/mod/a","Test":"TestAny"}`)
		}, "a.TestAny was skipped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := project(t)
			if out, err := command(root, false, "-write"); err != nil {
				t.Fatalf("write: %v, %s", err, out)
			}
			tt.change(t, root)
			if out, err := command(root, tt.strict, "-check"); err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("got %v, %s, want %q", err, out, tt.want)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	root := project(t)
	tests := map[string][]string{
		"choose one of":         {},
		"choose one":            {"-check", "-write"},
		"flag provided but not": {"-nonsense"},
		"no such file":          {"-check", "-run", filepath.Join(root, "nowhere.json")},
	}
	for want, args := range tests {
		if _, err := command(root, false, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	for _, name := range []string{"docs/requirements.tsv", "docs/open.tsv", "go.mod", "run.json"} {
		t.Run(name, func(t *testing.T) {
			root := project(t)
			put(t, root, name, "nonsense\n")
			if _, err := command(root, false, "-check"); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
				t.Errorf("got %v, want an error that names the file", err)
			}
		})
	}
}
