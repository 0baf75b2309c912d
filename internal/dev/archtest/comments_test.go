// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestExportedItemsAreExplained reads the module itself.
func TestExportedItemsAreExplained(t *testing.T) {
	broken, err := checkComments(os.DirFS(repository))
	if err != nil {
		t.Error(err)
	}
	for _, message := range broken {
		t.Error(message)
	}
}

func TestCheckComments(t *testing.T) {
	for text, want := range map[string]string{
		"func F() {}": "F has no comment", "// F is f.\nfunc F() {}": "", "func f() {}": "",
		"type T int": "T has no comment", "// T is t.\ntype T int": "", "var V int": "V has no comment", "type T int // is t": "",
		"const (\n\tA = 1\n\tB = 2 // is b\n)": "A has no comment", "// The letters.\nconst (\n\tA = 1\n\tB = 2\n)": "",
		"type t int\n\nfunc (t) M() {}":                                                                 "",
		"// T is t.\ntype T int\n\nfunc (*T) M() {}":                                                    "M has no comment",
		"// T is t.\ntype T[X any] int\n\nfunc (T[X]) M() {}":                                           "M has no comment",
		"// T is t.\ntype T int\n\nfunc (T) Error() string { return \"\" }":                             "",
		"// T is t.\ntype T int\n\nfunc (T) M() {}\n\n// I asks.\ntype I interface{ M() }":              "",
		"// F implements [I].\nfunc F() {}":                                                             "F has a comment that says only",
		"// T is t.\ntype T int\n\n// Error implements error.\nfunc (T) Error() string { return \"\" }": "Error has a comment that says only",
		"// F implements [I]. It never fails.\nfunc F() {}":                                             "",
	} {
		broken, err := checkComments(fstest.MapFS{"a/a.go": {Data: []byte("package a\n\n" + text + "\n")}, "a/a_test.go": {Data: []byte("package a\n\nfunc F() {}\n")}})
		if got := strings.Join(broken, "\n"); err != nil || want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := checkComments(fstest.MapFS{"a.go": {Data: []byte("package")}}); err == nil {
		t.Error("a file that cannot be read is passed over")
	}
}
