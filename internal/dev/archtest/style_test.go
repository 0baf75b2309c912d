// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestHouseStyle reads the module itself.
func TestHouseStyle(t *testing.T) {
	broken, err := checkStyle(os.DirFS(repository))
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range broken {
		t.Error(message)
	}
}

const documented = license + "\n// Package a is documented.\npackage a\n"

// function returns a function of n lines.
func function(n int) string {
	return "\nfunc long() {\n" + strings.Repeat("\tprintln()\n", n-2) + "}\n"
}

func TestCheckStyle(t *testing.T) {
	head := license + "\npackage a\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string // empty if nothing is broken
	}{
		{"good", map[string]string{"a/doc.go": documented, "a/a.go": head + function(60)}, ""},
		{"single file", map[string]string{"a/a.go": documented}, ""},
		{"program", map[string]string{
			"cmd/a/main.go": license + "\n// Command a runs.\npackage main\n", "cmd/a/b.go": license + "\npackage main\n",
		}, ""},
		{"tests only", map[string]string{"a/a_test.go": head}, ""},
		{"long tests", map[string]string{"a/a.go": documented, "a/a_test.go": head + function(500)}, ""},
		{"not ours", map[string]string{
			"build/a.go": "nonsense", ".ci/tools/a.go": "nonsense", "a/testdata/a.go": "nonsense", "a/a.txt": "nonsense",
		}, ""},
		{"600 lines", map[string]string{"a/a.go": documented + strings.Repeat("//\n", 596)}, ""},

		{"601 lines", map[string]string{"a/a.go": documented + strings.Repeat("//\n", 597)}, "a/a.go: 601 lines, at most 600"},
		{"61 lines in a function", map[string]string{"a/a.go": documented + function(61)}, "a/a.go:6: function long has 61 lines, at most 60"},
		{"a function value counts for the function around it", map[string]string{
			"a/a.go": documented + "\nfunc f() {\n\t_ = func() {\n" + strings.Repeat("\t\tprintln()\n", 60) + "\t}\n}\n",
		}, "function f has 64 lines"},
		{"no licence", map[string]string{"a/a.go": "// Package a is free.\npackage a\n"}, "a/a.go: the first line must be"},
		{"a test without licence", map[string]string{"a/a.go": documented, "a/a_test.go": "package a\n"}, "a/a_test.go: the first line must be"},
		{"another licence", map[string]string{"a/a.go": strings.Replace(documented, "Apache-2.0", "MIT", 1)}, "the first line must be"},
		{"no comment", map[string]string{"a/a.go": head}, "a: no file has a package comment"},
		{"only the licence above the package", map[string]string{"a/a.go": license + "\n//go:build linux\n\npackage a\n"}, "a: no file has a package comment"},
		{"comment elsewhere", map[string]string{"a/a.go": documented, "a/b.go": head}, "a: the package comment is in a.go: move it to doc.go"},
		{"two comments", map[string]string{"a/doc.go": documented, "a/b.go": documented}, "spread over b.go, doc.go"},
		{"no comment in a program", map[string]string{"cmd/a/main.go": license + "\npackage main\n"}, "cmd/a: no file has a package comment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			broken, err := checkStyle(root)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(broken, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckStyleUnparsable(t *testing.T) {
	root := fstest.MapFS{"a/a.go": {Data: []byte(license + "\npackage\n")}}
	if _, err := checkStyle(root); err == nil || !strings.Contains(err.Error(), "a/a.go:3") {
		t.Errorf("got %v, want an error that names the place", err)
	}
}
