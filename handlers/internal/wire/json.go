// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
)

// Object is a JSON object of which we understand a part. Members that we do
// not touch keep their bytes, so numbers and unknown shapes survive. A map is
// used because matching members to struct fields would ignore their case.
type Object map[string]json.RawMessage

// maxDepth bounds nesting; no Matrix request is near it.
const maxDepth = 64

// What a body is refused for.
var (
	errNotJSON   = BadRequest(CodeNotJSON, "Content not JSON.")
	ErrNotObject = BadRequest(CodeBadJSON, "Content must be a JSON object.")
	errDuplicate = BadRequest(CodeBadJSON, "Content has a duplicate key.")
	errTooDeep   = BadRequest(CodeBadJSON, "Content is nested too deeply.")
	errSpelling  = BadRequest(CodeBadJSON, "Content has a key that may be taken for another one.")
	errSurrogate = BadRequest(CodeBadJSON, "Content has half of a character.")
	errNumber    = BadRequest(CodeBadJSON, "Content has a number that is out of range.")
)

// Null reports an absent member, or one that is null: clients write both.
func (o Object) Null(key string) bool {
	raw, ok := o[key]
	return !ok || string(bytes.TrimSpace(raw)) == "null"
}

// Text returns a member that is a string; ok is false when it is absent.
func (o Object) Text(key string) (value string, ok bool, err error) {
	if o.Null(key) {
		return "", false, nil
	}
	if json.Unmarshal(o[key], &value) != nil {
		return "", false, BadRequest(CodeInvalidParam, "'"+key+"' must be a string")
	}
	return value, true, nil
}

// Required is text for a member that must be there.
func (o Object) Required(key string) (string, error) {
	value, ok, err := o.Text(key)
	if err == nil && !ok {
		err = BadRequest(CodeMissingParam, "Missing params: ['"+key+"']")
	}
	return value, err
}

// Encode writes the object back. All of its members were read as JSON, or written
// as such.
func (o Object) Encode() []byte { return Encoded(o) }

// Encoded encodes one value of ours for an object. Escaping of HTML would change the
// bytes of members that are not ours.
func Encoded(v any) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// Replace gives a member another value, and reports whether that is another one.
func (o Object) Replace(key, from, to string) bool {
	if from == to {
		return false
	}
	o[key] = Encoded(to)
	return true
}
