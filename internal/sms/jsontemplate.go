// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jsonTemplate is a JSON document whose strings may hold placeholders. It is
// parsed once, and written anew for each message: no value can end a string.
type jsonTemplate struct {
	root any // as encoding/json decodes, with a template in place of each string
}

// parseJSONTemplate reads a document.
func parseJSONTemplate(text string) (*jsonTemplate, error) {
	var root any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&root); err != nil {
		return nil, errors.New("it is not JSON; placeholders stand in strings only")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	compiled, err := compile(root)
	if err != nil {
		return nil, err
	}
	return &jsonTemplate{root: compiled}, nil
}

func compile(node any) (any, error) {
	switch n := node.(type) {
	case string:
		return parseTemplate(n)
	case []any:
		for i, child := range n {
			c, err := compile(child)
			if err != nil {
				return nil, err
			}
			n[i] = c
		}
	case map[string]any:
		for key, child := range n {
			if strings.ContainsAny(key, "{}") {
				return nil, errors.New("a field is named by a placeholder")
			}
			c, err := compile(child)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", key, err)
			}
			n[key] = c
		}
	}
	return node, nil
}

// expand writes the document for one message.
func (t *jsonTemplate) expand(v values) []byte {
	root, keep := fill(t.root, v)
	if !keep {
		root = nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(root) // it was decoded, and its strings are whatever they are
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// fill copies a part of the document. It is left out if it stands for nothing,
// or if everything in it is left out.
func fill(node any, v values) (out any, keep bool) {
	switch n := node.(type) {
	case template:
		return n.plain(v), !n.omitted(v)
	case []any:
		list := make([]any, 0, len(n))
		for _, child := range n {
			if c, ok := fill(child, v); ok {
				list = append(list, c)
			}
		}
		return list, len(list) > 0 || len(n) == 0
	case map[string]any:
		object := make(map[string]any, len(n))
		for key, child := range n {
			if c, ok := fill(child, v); ok {
				object[key] = c
			}
		}
		return object, len(object) > 0 || len(n) == 0
	}
	return node, true
}
