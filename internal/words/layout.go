// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// layout is the two layouts of a brand.
type layout struct {
	text       *texttemplate.Template
	html       *htmltemplate.Template
	textPath   string
	markupPath string
}

const (
	// maxCalls bounds how often one rendering can run parts of a layout.
	maxCalls = 1000
	// maxOutput bounds what comes out, in bytes.
	maxOutput = 128 << 10
)

// functions are all that a layout can call besides those of logic.
var functions = texttemplate.FuncMap{"wrap": wrap}

// logic are the functions of text/template that only tell whether something is
// there. Without comparisons, what a layout does depends on nothing but which
// values a mail has, so that a mail of each kind shows all that it can do.
var logic = map[string]bool{"and": true, "or": true, "not": true}

// loadLayout reads the layouts.
func loadLayout(places sources) (layout, error) {
	var l layout
	path, raw, err := places.first(textFile)
	if err != nil {
		return l, err
	}
	l.textPath = path
	if err := checkLayout(path, raw); err != nil {
		return l, err
	}
	if l.text, err = texttemplate.New(path).Funcs(functions).Parse(string(raw)); err != nil {
		return l, fmt.Errorf("read text layout: %w", err)
	}
	if path, raw, err = places.first(htmlFile); err != nil {
		return l, err
	}
	l.markupPath = path
	if err := checkLayout(path, raw); err != nil {
		return l, err
	}
	if l.html, err = htmltemplate.New(path).Funcs(functions).Parse(string(raw)); err != nil {
		return l, fmt.Errorf("read HTML layout: %w", err)
	}
	return l, nil
}

// checkLayout refuses a layout that could run for long, or do anything but put texts
// in order: it has no loops, no recursion, and no functions that compose text.
func checkLayout(path string, raw []byte) error {
	if err := checkLetters(path, raw); err != nil {
		return err
	}
	allowed := map[string]any{"wrap": wrap}
	for name := range logic {
		allowed[name] = name
	}
	trees, err := parse.Parse(path, string(raw), "", "", allowed)
	if err != nil {
		return fmt.Errorf("read layout: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	g := &layoutChecker{trees: trees, costs: map[string]int{}}
	for _, name := range sortedKeys(trees) {
		if _, err := g.cost(name); err != nil {
			return err
		}
	}
	return nil
}

// layoutChecker walks through the parts of a layout.
type layoutChecker struct {
	trees map[string]*parse.Tree
	// costs is how many parts a part runs, itself included; 0 while it is
	// walked through.
	costs map[string]int
}

var errEndless = errors.New("a layout must not call itself")

func (g *layoutChecker) cost(name string) (int, error) {
	if n, ok := g.costs[name]; ok {
		if n == 0 {
			return 0, errEndless
		}
		return n, nil
	}
	tree := g.trees[name]
	if tree == nil || tree.Root == nil {
		return 1, nil // text/template says what is missing
	}
	g.costs[name] = 0
	n, err := g.list(tree, tree.Root)
	if err != nil {
		return 0, err
	}
	if n++; n > maxCalls {
		return 0, fmt.Errorf("%s: the layout runs more than %d parts", tree.ParseName, maxCalls)
	}
	g.costs[name] = n
	return n, nil
}

func (g *layoutChecker) list(tree *parse.Tree, list *parse.ListNode) (int, error) {
	if list == nil {
		return 0, nil
	}
	sum := 0
	for _, node := range list.Nodes {
		n, err := g.node(tree, node)
		if err != nil {
			return 0, err
		}
		sum = min(sum+n, maxCalls+1)
	}
	return sum, nil
}

func (g *layoutChecker) node(tree *parse.Tree, node parse.Node) (int, error) {
	place := func() string {
		p, _ := tree.ErrorContext(node)
		return shortPlace(p)
	}
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode:
		return 0, nil
	case *parse.ActionNode:
		return 0, g.pipe(place, n.Pipe)
	case *parse.IfNode:
		return g.branch(tree, place, &n.BranchNode)
	case *parse.WithNode:
		return g.branch(tree, place, &n.BranchNode)
	case *parse.TemplateNode:
		if err := g.pipe(place, n.Pipe); err != nil {
			return 0, err
		}
		called, err := g.cost(n.Name)
		if err != nil && errors.Is(err, errEndless) {
			return 0, fmt.Errorf("%s: {{template %q}}: %w", place(), n.Name, errEndless)
		}
		return called, err
	}
	return 0, fmt.Errorf("%s: a layout cannot have %.40s", place(), node)
}

func (g *layoutChecker) branch(tree *parse.Tree, place func() string, n *parse.BranchNode) (int, error) {
	if err := g.pipe(place, n.Pipe); err != nil {
		return 0, err
	}
	yes, err := g.list(tree, n.List)
	if err != nil {
		return 0, err
	}
	no, err := g.list(tree, n.ElseList)
	return min(yes+no, maxCalls+1), err
}

// pipe allows values, the words of logic, and wrap.
func (g *layoutChecker) pipe(place func() string, pipe *parse.PipeNode) error {
	if pipe == nil {
		return nil
	}
	if len(pipe.Decl) != 0 {
		return fmt.Errorf("%s: a layout cannot have variables: %s", place(), pipe)
	}
	for _, command := range pipe.Cmds {
		for _, argument := range command.Args {
			switch a := argument.(type) {
			case *parse.FieldNode, *parse.DotNode, *parse.VariableNode, *parse.IdentifierNode:
			case *parse.PipeNode:
				if err := g.pipe(place, a); err != nil {
					return err
				}
			default:
				return fmt.Errorf("%s: a layout can only name values: %.40s", place(), argument)
			}
		}
	}
	return nil
}
