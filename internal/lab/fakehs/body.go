// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a decoded JSON object. Values keep their JSON type, and numbers their
// spelling, because Synapse checks few of them and forwards the rest.
type object = map[string]any

// errWrongType stands for the TypeErrors and KeyErrors that Synapse does not catch;
// the client sees a 500.
var errWrongType = errors.New("use a value of the wrong type")

// parseJSON decodes any JSON value. Of duplicate keys the last wins.
func parseJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("decode a body that is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode JSON with something after it")
	}
	return value, nil
}

// parseObject decodes a request's body whatever its Content-Type says. Synapse's
// parser takes a byte order mark before it.
func (x *exchange) parseObject() (object, error) {
	value, err := parseJSON(bytes.TrimPrefix(x.body, []byte("\ufeff")))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "M_NOT_JSON", "Content not JSON.")
	}
	obj, ok := value.(object)
	if !ok {
		return nil, fail(http.StatusBadRequest, "M_BAD_JSON", "Content must be a JSON object.")
	}
	return obj, nil
}

// requireKeys names every missing key at once, in the order they are asked for.
func requireKeys(obj object, keys ...string) error {
	var absent []string
	for _, k := range keys {
		if _, ok := obj[k]; !ok {
			absent = append(absent, "'"+k+"'")
		}
	}
	if absent == nil {
		return nil
	}
	return fail(http.StatusBadRequest, "M_MISSING_PARAM", "Missing params: ["+strings.Join(absent, ", ")+"]")
}

// member is what "if key in value: value[key]" finds for Synapse, which looks before
// it knows that it has an object: a list or a text without that key has no such member,
// and one with it is an exception.
func member(value any, key string) (found any, ok bool, err error) {
	switch v := value.(type) {
	case object:
		found, ok = v[key]
		return found, ok, nil
	case []any:
		if !slices.Contains(v, any(key)) {
			return nil, false, nil
		}
	case string:
		if !strings.Contains(v, key) {
			return nil, false, nil
		}
	}
	return nil, false, errWrongType
}

// truthy is what a bare "if value:" means to Synapse: a client that sends
// "bind": "false" asks for a bind.
func truthy(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case []any:
		return len(v) > 0
	case object:
		return len(v) > 0
	}
	return true
}

// hashable reports whether a value can be looked up in a set; lists and objects
// are exceptions there, and so a 500.
func hashable(value any) bool {
	switch value.(type) {
	case []any, object:
		return false
	}
	return true
}

// scalarText renders a string or number as it appears in a query or a message.
func scalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}
