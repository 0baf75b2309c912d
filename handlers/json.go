// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"
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
	errSpelling  = badRequest(codeBadJSON, "Content has a key that may be taken for another one.")
	errSurrogate = badRequest(codeBadJSON, "Content has half of a character.")
	errNumber    = badRequest(codeBadJSON, "Content has a number that is out of range.")
)

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

// encode writes the object back. All of its members were read as JSON, or written
// as such.
func (o object) encode() []byte { return member(o) }

// member encodes one value of ours for an object. Escaping of HTML would change the
// bytes of members that are not ours.
func member(v any) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}
