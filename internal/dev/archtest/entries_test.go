// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// TestEntriesAreWrittenThroughTheirKind: nobody but internal/sealed calls Set of a
// transaction, which is the only one with three arguments. What is written past a kind
// is unknown to rotation, restore and forget.
func TestEntriesAreWrittenThroughTheirKind(t *testing.T) {
	found := 0
	err := eachSource(os.DirFS(repository), func(name string, text []byte) error {
		if under(name, append(outside, "store")...) || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 3 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Set" {
				return true
			}
			if found++; !under(name, "internal/sealed") {
				t.Errorf("%s: an entry is written past its kind, see internal/sealed", fset.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("got %v, and %d calls, want those of internal/sealed: this test sees nothing any more", err, found)
	}
}
