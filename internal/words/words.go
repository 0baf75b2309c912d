// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

// maxText is how long one text may be, in characters. The longest of ours has
// less than 300.
const maxText = 1000

// texts are the phrases of one file, and where they stand in it.
type texts struct {
	phrases map[string]phrase
	places  map[string]string
}

// parseTexts reads a file of {{define "key"}}text{{end}}. The syntax is that of
// text/template, of which only {{.Name}} and comments are left.
func parseTexts(path string, raw []byte, rules map[string]rule) (*texts, error) {
	if err := checkLetters(path, raw); err != nil {
		return nil, err
	}
	trees, err := parse.Parse(path, string(raw), "", "")
	if err != nil {
		return nil, fmt.Errorf("read words: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	t := &texts{phrases: map[string]phrase{}, places: map[string]string{}}
	var errs []error
	for _, key := range inOrder(trees) {
		tree := trees[key]
		place, _ := tree.ErrorContext(tree.Root)
		place = shortPlace(place)
		if key == path { // what is between the texts
			if strings.TrimSpace(tree.Root.String()) != "" {
				errs = append(errs, fmt.Errorf("%s: there is something outside of any {{define}}", path))
			}
			continue
		}
		p, err := parseText(tree, key, rules)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", place, err))
			continue
		}
		t.phrases[key], t.places[key] = p, place
	}
	return t, joined(errs)
}

// inOrder are the keys of a file as they stand in it.
func inOrder(trees map[string]*parse.Tree) []string {
	keys := slices.DeleteFunc(sortedKeys(trees), func(key string) bool { return trees[key].Root == nil })
	slices.SortStableFunc(keys, func(a, b string) int {
		return int(trees[a].Root.Position() - trees[b].Root.Position())
	})
	return keys
}

// parseText reads one text.
func parseText(tree *parse.Tree, key string, rules map[string]rule) (phrase, error) {
	r, known := rules[key]
	if !known {
		return nil, fmt.Errorf("there is no text %q%s", key, suggest(key, rules))
	}
	p, err := compile(tree, r)
	if err == nil {
		err = r.check(p)
	}
	if err != nil {
		return nil, fmt.Errorf("the text %q %w", key, err)
	}
	return p, nil
}

// shortPlace makes file:line of file:line:column: the column counts bytes, and
// says little to those who write in other alphabets.
func shortPlace(place string) string {
	if i := strings.LastIndexByte(place, ':'); i > 0 {
		return place[:i]
	}
	return place
}

// compile takes a text apart. It refuses everything but text and {{.Name}}.
func compile(tree *parse.Tree, r rule) (phrase, error) {
	var p phrase
	last := part{}
	for _, node := range tree.Root.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			last.text += string(n.Text)
			continue
		case *parse.ActionNode:
			name, ok := fieldName(n)
			if !ok {
				return nil, fmt.Errorf("has %.40s; words can only name values, as {{.Server}}", n)
			}
			v := valueNames[name]
			if v == 0 || v&r.may == 0 {
				return nil, fmt.Errorf("cannot name {{.%.40s}}, only %s", name, valueList(r.may))
			}
			last.value = v
			p = append(p, last)
			last = part{}
		default:
			return nil, fmt.Errorf("has %.40s; words can only name values, as {{.Server}}", node)
		}
	}
	if last.text != "" {
		p = append(p, last)
	}
	return p.paragraph(r)
}

// fieldName returns Name if the action is {{.Name}}.
func fieldName(n *parse.ActionNode) (string, bool) {
	if len(n.Pipe.Decl) != 0 || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
		return "", false
	}
	field, ok := n.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return "", false
	}
	return field.Ident[0], true
}

// paragraph removes the line breaks and the space around the text.
func (p phrase) paragraph(r rule) (phrase, error) {
	if r.line {
		for i, part := range p {
			text := part.text
			if i == 0 {
				text = strings.TrimLeft(text, spaces)
			}
			if i == len(p)-1 && part.value == 0 {
				text = strings.TrimRight(text, spaces)
			}
			if strings.ContainsAny(text, "\r\n") {
				return nil, errors.New("is more than one line")
			}
		}
	}
	for i := range p {
		p[i].text = joinLines(p[i].text, i == 0, i == len(p)-1 && p[i].value == 0)
	}
	return p, nil
}

// check holds a text against what must be in it.
func (r rule) check(p phrase) error {
	named, size := p.names(), 0
	for _, part := range p {
		size += utf8.RuneCountInString(part.text)
	}
	switch {
	case size == 0 && named == 0 && !r.optional:
		return errors.New("is empty")
	case size > maxText:
		return fmt.Errorf("has %d characters, at most %d are allowed", size, maxText)
	case named&r.must != r.must:
		return fmt.Errorf("must have %s", valueList(r.must))
	case r.either != 0 && named&r.either == 0:
		return fmt.Errorf("must have one of %s", valueList(r.either))
	case r.line && strings.Contains(p.plain(&values{}), "=?"):
		return errors.New("has =?, which begins an encoded word in a header (RFC 2047)")
	}
	return nil
}

// valueList is for those who read an error.
func valueList(set value) string {
	var names []string
	for _, name := range sortedKeys(valueNames) {
		if set&valueNames[name] != 0 {
			names = append(names, "{{."+name+"}}")
		}
	}
	if len(names) == 0 {
		return "letters"
	}
	return strings.Join(names, " and ")
}
