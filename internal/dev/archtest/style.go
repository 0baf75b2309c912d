// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The measures of the house style. Tests may be longer: a table of cases is not
// harder to read for being complete.
const (
	maxFileLines = 600
	maxFuncLines = 60
	license      = "// SPDX-License-Identifier: Apache-2.0\n"
)

// sourceDir is one directory with Go files.
type sourceDir struct {
	name      string
	pkgName   string
	sources   []string // files that are not tests
	commented []string // those of them with a package comment
}

// checkStyle returns a message for every breach of the house style below root.
func checkStyle(root fs.FS) ([]string, error) {
	var broken []string
	dirs := map[string]*sourceDir{}
	err := eachSource(root, func(name string, text []byte) error {
		messages, err := checkFile(name, text, dirs)
		broken = append(broken, messages...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if message := dir.checkComment(); message != "" {
			broken = append(broken, message)
		}
	}
	slices.Sort(broken)
	return broken, nil
}

// eachSource calls do with every Go file of the module.
func eachSource(root fs.FS, do func(name string, text []byte) error) error {
	return fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if ignored(name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return do(name, text)
	})
}

// ignored reports whether a directory holds no sources of the module; the go
// command passes over the same ones, and build/ and bin/ are never committed.
func ignored(dir string) bool {
	base := path.Base(dir)
	return dir == "build" || dir == "bin" || base == "testdata" || base == "node_modules" ||
		dir != "." && strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// checkFile judges one file and notes it in its directory.
func checkFile(name string, text []byte, dirs map[string]*sourceDir) ([]string, error) {
	var broken []string
	if !bytes.HasPrefix(text, []byte(license)) {
		broken = append(broken, fmt.Sprintf("%s: the first line must be %q", name, strings.TrimSpace(license)))
	}
	if strings.HasSuffix(name, "_test.go") {
		return broken, nil
	}
	if n := bytes.Count(text, []byte("\n")); n > maxFileLines {
		broken = append(broken, fmt.Sprintf("%s: %d lines, at most %d: split it by subject", name, n, maxFileLines))
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	dirs[path.Dir(name)] = dirs[path.Dir(name)].add(name, file)
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		first, last := fset.Position(fn.Pos()).Line, fset.Position(fn.End()).Line
		if n := last - first + 1; n > maxFuncLines {
			broken = append(broken, fmt.Sprintf("%s:%d: function %s has %d lines, at most %d: give its steps names",
				name, first, fn.Name.Name, n, maxFuncLines))
		}
	}
	return broken, nil
}

// add notes a file; a nil receiver is a directory not seen before.
func (d *sourceDir) add(name string, file *ast.File) *sourceDir {
	if d == nil {
		d = &sourceDir{name: path.Dir(name)}
	}
	d.pkgName = file.Name.Name
	d.sources = append(d.sources, path.Base(name))
	// A licence or directive comment is no documentation: ast.File.Doc holds
	// only what touches the package clause, and Text leaves directives out.
	if strings.TrimSpace(file.Doc.Text()) != "" {
		d.commented = append(d.commented, path.Base(name))
	}
	return d
}

// checkComment demands the package comment, in doc.go. A package of one file
// and a program may carry it where its reader looks first.
func (d *sourceDir) checkComment() string {
	switch {
	case len(d.commented) == 0:
		return d.name + ": no file has a package comment: write it in doc.go"
	case len(d.commented) > 1:
		return fmt.Sprintf("%s: the package comment is spread over %s: keep the one in doc.go",
			d.name, strings.Join(d.commented, ", "))
	case d.commented[0] == "doc.go" || d.pkgName == "main" || len(d.sources) == 1:
		return ""
	}
	return fmt.Sprintf("%s: the package comment is in %s: move it to doc.go", d.name, d.commented[0])
}
