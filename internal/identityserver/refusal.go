// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"bytes"
	"encoding/json"
	"strings"
)

// The limits of what is relayed. Ordinary error objects have some hundred bytes.
const (
	maxRelayed = 16 << 10
	maxErrcode = 128
	maxMessage = 1024
)

// refusal returns the answer as a refusal if it is one: 400 to 599 with a JSON
// object whose errcode is a string.
func (a answer) refusal() *Refusal {
	if a.status < 400 || a.status > 599 {
		return nil
	}
	object, ok := a.object()
	if !ok {
		return nil
	}
	errcode, ok := text(object, "errcode")
	if !ok || errcode == "" {
		return nil
	}
	message, _ := text(object, "error")
	r := &Refusal{Status: a.status, Errcode: cut(errcode, maxErrcode), Message: cut(message, maxMessage)}
	if r.Body = reencode(a.body); r.Body == nil || len(r.Body) > maxRelayed {
		// Two strings cannot fail to encode.
		r.Body, _ = json.Marshal(map[string]string{"errcode": r.Errcode, "error": r.Message})
	}
	return r
}

// reencode writes a JSON object anew: what a lenient reader could take in two ways
// (duplicate keys, invalid UTF-8, text after the end) is settled. Numbers keep
// their digits, and < > & are escaped, so that nobody mistakes it for a page.
func reencode(body []byte) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return encoded
}

// cut shortens a text without leaving half a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
