// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// known are methods that interfaces of the standard library and of Caddy ask for; those
// of our own interfaces are found.
var known = strings.Fields(`Error Unwrap Is Temporary Timeout String GoString Format Len Less Swap
	Read Write Close Flush Accept Addr RoundTrip ServeHTTP Header WriteHeader
	MarshalJSON UnmarshalJSON MarshalText UnmarshalText MarshalBinary UnmarshalBinary MarshalLogObject
	CaddyModule Provision Validate Cleanup Destruct Start Stop Routes UnmarshalCaddyfile`)

// hollow is a comment that says only what the compiler knows.
var hollow = regexp.MustCompile(`^(\w+) implements \[?[\w.]+\]?\.\s*$`)

// checkComments returns a message for every exported item without a comment, and for
// every comment that says nothing. A method that an interface asks for is explained there.
func checkComments(root fs.FS) ([]string, error) {
	fset, asked := token.NewFileSet(), slices.Clone(known)
	var files []*ast.File
	err := eachSource(root, func(name string, text []byte) error {
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				for _, method := range i.Methods.List {
					for _, ident := range method.Names {
						asked = append(asked, ident.Name)
					}
				}
			}
			return true
		})
		return nil
	})
	var broken []string
	note := func(at token.Pos, name, what string) {
		broken = append(broken, fmt.Sprintf("%s: %s %s", fset.Position(at), name, what))
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if hollow.MatchString(d.Doc.Text()) {
					note(d.Pos(), d.Name.Name, "has a comment that says only what it implements")
				}
				if d.Doc == nil && d.Name.IsExported() && !(d.Recv != nil && (slices.Contains(asked, d.Name.Name) || !ast.IsExported(receiver(d)))) {
					note(d.Pos(), d.Name.Name, "has no comment")
				}
			case *ast.GenDecl:
				for _, ident := range bare(d) {
					note(ident.Pos(), ident.Name, "has no comment")
				}
			}
		}
	}
	return broken, err
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch of := t.(type) {
		case *ast.StarExpr:
			t = of.X
		case *ast.IndexExpr:
			t = of.X
		case *ast.Ident:
			return of.Name
		default:
			return ""
		}
	}
}

// bare are the exported names that a declaration leaves without a comment: neither
// theirs nor that of the group.
func bare(d *ast.GenDecl) (found []*ast.Ident) {
	if d.Doc != nil {
		return nil
	}
	for _, spec := range d.Specs {
		var idents []*ast.Ident
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Doc == nil && s.Comment == nil {
				idents = []*ast.Ident{s.Name}
			}
		case *ast.ValueSpec:
			if s.Doc == nil && s.Comment == nil {
				idents = s.Names
			}
		}
		for _, ident := range idents {
			if ident.IsExported() {
				found = append(found, ident)
			}
		}
	}
	return found
}
