// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// object is a JSON object of which we understand a part. Members that we do
// not touch keep their bytes, so numbers and unknown shapes survive. A map is
// used because matching members to struct fields would ignore their case.
type object map[string]json.RawMessage

// maxDepth bounds nesting; no Matrix request is near it.
const maxDepth = 64

var (
	errNotJSON   = badRequest(codeNotJSON, "Content not JSON.")
	errNotObject = badRequest(codeBadJSON, "Content must be a JSON object.")
	errDuplicate = badRequest(codeBadJSON, "Content has a duplicate key.")
	errTooDeep   = badRequest(codeBadJSON, "Content is nested too deeply.")
)

// parseObject decodes a JSON object strictly. Duplicate keys are refused at
// every depth: two parsers may choose different ones, and a check that reads
// one while the homeserver reads the other is no check.
func parseObject(raw []byte) (object, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, errNotJSON
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); trimmed[0] != '{' {
		return nil, errNotObject
	}
	if err := checkKeys(raw); err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, errNotJSON
	}
	return o, nil
}

// checkKeys walks valid JSON and refuses duplicate keys and deep nesting. Keys
// are compared as decoded: "\u0061uth" is "auth".
func checkKeys(raw []byte) error {
	type level struct {
		keys  map[string]bool // nil in an array
		value bool            // the next token of an object is a value
	}
	var stack []level
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errNotJSON
		}
		if delim, ok := tok.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if top := len(stack) - 1; top >= 0 && stack[top].keys != nil {
			if !stack[top].value {
				key := tok.(string)
				if stack[top].keys[key] {
					return errDuplicate
				}
				stack[top].keys[key] = true
				stack[top].value = true
				continue
			}
			stack[top].value = false
		}
		if delim, ok := tok.(json.Delim); ok {
			if len(stack) == maxDepth {
				return errTooDeep
			}
			next := level{}
			if delim == '{' {
				next.keys = map[string]bool{}
			}
			stack = append(stack, next)
		}
	}
}

// null reports an absent member, or one that is null: clients write both.
func (o object) null(key string) bool {
	raw, ok := o[key]
	return !ok || string(bytes.TrimSpace(raw)) == "null"
}

// text returns a member that is a string; ok is false when it is absent.
func (o object) text(key string) (value string, ok bool, err error) {
	if o.null(key) {
		return "", false, nil
	}
	if json.Unmarshal(o[key], &value) != nil {
		return "", false, badRequest(codeInvalidParam, "'"+key+"' must be a string")
	}
	return value, true, nil
}

// required is text for a member that must be there.
func (o object) required(key string) (string, error) {
	value, ok, err := o.text(key)
	if err == nil && !ok {
		err = badRequest(codeMissingParam, "Missing params: ['"+key+"']")
	}
	return value, err
}

// encode writes the object back. Escaping of HTML would change the bytes of
// members that are not ours.
func (o object) encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// member encodes one value of ours for an object.
func member(v any) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}
