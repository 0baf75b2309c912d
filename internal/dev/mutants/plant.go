// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one fault that can be planted: a piece of a file, and what stands there
// instead.
type mutant struct {
	file       string
	line       int
	start, end int // bytes
	was, is    string
}

// apply returns the file with the fault.
func (m *mutant) apply(source []byte) []byte {
	planted := append([]byte(nil), source[:m.start]...)
	planted = append(planted, m.is...)
	return append(planted, source[m.end:]...)
}

// mutantsOf returns all faults that can be planted into the package in a directory.
func mutantsOf(dir, tags string) ([]mutant, error) {
	platform := build.Default // what is for other systems is not compiled
	platform.BuildTags = strings.Split(tags, ",")
	pkg, err := platform.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, name := range pkg.GoFiles {
		file := filepath.Join(dir, name)
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := mutantsIn(file, source)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// mutantsIn returns the faults that can be planted into a file.
func mutantsIn(name string, source []byte) ([]mutant, error) {
	p := planter{name: name, source: source, files: token.NewFileSet()}
	tree, err := parser.ParseFile(p.files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, declared := range tree.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok && f.Body != nil {
			ast.Inspect(f.Body, p.visit)
		}
	}
	return p.found, nil
}

// planter collects the faults of one file.
type planter struct {
	name   string
	source []byte
	files  *token.FileSet
	found  []mutant
}

// replace notes that a piece can be replaced.
func (p *planter) replace(from, to token.Pos, is string) {
	start, end := p.files.Position(from), p.files.Position(to)
	was := string(p.source[start.Offset:end.Offset])
	p.found = append(p.found, mutant{p.name, start.Line, start.Offset, end.Offset, was, is})
}

// opposite has for an operator those that a slip puts in its place.
var opposite = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
}

// visit plants what fits a node. What does not compile is not counted.
func (p *planter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		p.replace(n.Cond.Pos(), n.Cond.End(), "true || "+p.text(n.Cond))
		p.replace(n.Cond.Pos(), n.Cond.End(), "false && ("+p.text(n.Cond)+")")
	case *ast.BinaryExpr:
		for _, op := range opposite[n.Op] {
			p.replace(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), op.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			p.replace(n.Pos(), n.X.Pos(), "")
		}
	case *ast.ExprStmt:
		p.replace(n.Pos(), n.End(), "")
	case *ast.DeferStmt:
		p.replace(n.Pos(), n.End(), "")
	case *ast.IncDecStmt:
		p.replace(n.Pos(), n.End(), "")
	case *ast.ReturnStmt:
		p.swallow(n)
	case *ast.AssignStmt:
		p.forget(n)
	case *ast.BasicLit:
		if number, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
			p.replace(n.Pos(), n.End(), strconv.Itoa(number+1))
		}
	case *ast.Ident:
		if flipped := map[string]string{"true": "false", "false": "true"}[n.Name]; flipped != "" {
			p.replace(n.Pos(), n.End(), flipped)
		}
	}
	return true
}

// swallow returns nil in place of an error.
func (p *planter) swallow(n *ast.ReturnStmt) {
	for _, result := range n.Results {
		if name, ok := result.(*ast.Ident); ok && strings.HasPrefix(name.Name, "err") {
			p.replace(result.Pos(), result.End(), "nil")
		}
	}
}

// forget leaves out an assignment to something that is there already.
func (p *planter) forget(n *ast.AssignStmt) {
	if n.Tok != token.DEFINE {
		p.replace(n.Pos(), n.End(), "")
	}
}

func (p *planter) text(n ast.Node) string {
	return string(p.source[p.files.Position(n.Pos()).Offset:p.files.Position(n.End()).Offset])
}
