// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// valueNames are what values with a type of their own are called, in lower case.
var valueNames = []string{
	"sid", "sids", "aliassid", "aliassecret", "nonce", "clientsecret", "refusal",
	"accesstoken", "medium", "uia", "uiasession",
}

// TestValuesHaveTypes: what is called a sid is a threepid.SID, wherever it is a field, a
// parameter or a result. In JSON it may be a string, and in what is no part of the
// program.
func TestValuesHaveTypes(t *testing.T) {
	root, typed := os.DirFS(repository), 0
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (ignored(name) || under(name, append(outside, "docs")...)) {
			return fs.SkipDir
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag != nil && strings.Contains(field.Tag.Value, "json:") {
				return true
			}
			kind := field.Type
			if star, ok := kind.(*ast.StarExpr); ok {
				kind = star.X
			}
			if list, ok := kind.(*ast.ArrayType); ok {
				kind = list.Elt
			}
			plain, ok := kind.(*ast.Ident)
			for _, called := range field.Names {
				switch {
				case !slices.Contains(valueNames, strings.ToLower(called.Name)):
				case ok && plain.Name == "string":
					t.Errorf("%s: %s is a string: see internal/threepid", fset.Position(called.Pos()), called.Name)
				default:
					typed++
				}
			}
			return true
		})
		return nil
	})
	if err != nil || typed == 0 {
		t.Errorf("got %v, and %d values: this test sees nothing any more", err, typed)
	}
}
