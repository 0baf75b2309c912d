// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// pointer is a parsed JSON pointer (RFC 6901).
type pointer []string

// parsePointer reads a pointer in its string form (RFC 6901 §3, §5).
func parsePointer(text string) (pointer, error) {
	if text == "" {
		return pointer{}, nil // the whole document
	}
	if text[0] != '/' {
		return nil, errors.New("a JSON pointer begins with a slash, like /id")
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		for rest := token; ; {
			_, after, found := strings.Cut(rest, "~")
			if !found {
				break
			}
			if after == "" || after[0] != '0' && after[0] != '1' {
				return nil, errors.New("in a JSON pointer, ~ is followed by 0 or 1")
			}
			rest = after[1:]
		}
		// In this order, so that ~01 becomes ~1 (§4).
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// find returns what a pointer points at (RFC 6901 §4).
func (p pointer) find(document any) (any, bool) {
	for _, token := range p {
		switch n := document.(type) {
		case map[string]any:
			child, ok := n[token]
			if !ok {
				return nil, false
			}
			document = child
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(n) || strconv.Itoa(i) != token {
				return nil, false
			}
			document = n[i]
		default:
			return nil, false
		}
	}
	return document, true
}

// text returns what a pointer points at if it can be compared with a word: a
// string as it is, a number as it was written, true or false.
func (p pointer) text(document any) (string, bool) {
	found, ok := p.find(document)
	if !ok {
		return "", false
	}
	switch v := found.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// decode reads exactly one JSON document.
func decode(body []byte) (any, bool) {
	var document any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&document) != nil {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return document, true
}
