// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
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

// bodyTime bounds how long a client may take to send a body that we read. Caddy
// has no such bound by default, and a body that never ends costs a goroutine.
const bodyTime = 30 * time.Second

// readBody reads a whole request body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	// Where the connection does not support it, there is no bound of ours. With the
	// end of the body it is over: net/http goes on without one.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil && r.ProtoMajor == 1 {
		// The rest is of no use, and without this net/http would wait for some of it
		// before it answers: what Caddy makes of w keeps MaxBytesReader from saying so.
		w.Header().Set("Connection", "close")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &MatrixError{Status: http.StatusRequestEntityTooLarge, Errcode: codeTooLarge, Message: "Request body is too large"}
	}
	if err != nil {
		return nil, &MatrixError{Status: http.StatusBadRequest, Errcode: codeNotJSON, Message: "Request body is incomplete", Err: err}
	}
	return raw, nil
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
