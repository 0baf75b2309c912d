// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sample = `package sample

func Sum(a, b int) (n int, err error) {
	if a > b {
		return 0, errOrder
	}
	n = a + b
	return n, nil
}
`

// TestMutantsOfAFile are those that a slip of a pen makes.
func TestMutantsOfAFile(t *testing.T) {
	found, err := mutantsIn("sample.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.was+" -> "+m.is)
		if planted := string(m.apply([]byte(sample))); planted == sample || len(planted) != len(sample)-len(m.was)+len(m.is) {
			t.Errorf("%+v makes %q", m, planted)
		}
	}
	want := []string{
		"a > b -> true || a > b", "a > b -> false && (a > b)", "> -> >=", "> -> <=",
		"0 -> 1", "errOrder -> nil", "n = a + b -> ", "+ -> -",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRunNeedsTestsThatPass, and a package.
func TestRunNeedsTestsThatPass(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := run(t.Context(), []string{"."}, io.Discard); err == nil {
		t.Error("nothing has been looked at, and all is well")
	}
	for name, text := range map[string]string{
		"go.mod": "module sample\n\ngo 1.26\n", "sample.go": "package sample\n\nfunc Held() bool { return true }\n",
		"sample_test.go": "package sample\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Error() }\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), []string{"."}, io.Discard); err == nil || !strings.Contains(err.Error(), "without a fault") {
		t.Errorf("got %v, want to be told of the tests that fail", err)
	}
}

// TestRunTellsWhatNobodyNoticed: of a package whose tests look at one of its two
// functions, the faults of the other survive, and those that do not compile do not
// count.
func TestRunTellsWhatNobodyNoticed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module sample\n\ngo 1.26\n",
		"sample.go":      "package sample\n\nfunc Held() bool { return true }\n\nfunc Loose() bool { return false }\n",
		"other_plan9.go": "package sample\n\nfunc Other() bool { return true }\n",
		"sample_test.go": "package sample\n\nimport \"testing\"\n\nfunc TestHeld(t *testing.T) {\n\tif !Held() {\n\t\tt.Error()\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-seed", "1", "."}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "| . | 2 | 1 | 50.0 % |") || !strings.Contains(got, "`sample.go:5`: `true` for `false`") {
		t.Errorf("got %s", got)
	}
	// The tests of another package go through it as well, and a third one has none.
	for name, text := range map[string]string{
		"user/user_test.go": "package user\n\nimport (\n\t\"sample\"\n\t\"testing\"\n)\n\nfunc TestLoose(t *testing.T) {\n\tif sample.Loose() {\n\t\tt.Error()\n\t}\n}\n",
		"none/none.go":      "package none\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out.Reset()
	if err := run(t.Context(), []string{"-seed", "1", ".,./none,./user"}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "| . | 2 | 2 | 100.0 % |") {
		t.Errorf("got %s, want that the user's test has noticed the other one", got)
	}
}
