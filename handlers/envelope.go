// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// parseEnvelope decodes a body of which only "auth" is looked at.
func parseEnvelope(raw []byte) (object, error) {
	body, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	for key := range body {
		if key != "auth" && foldKey(key) == "auth" {
			return nil, badRequest(codeBadJSON, "Content has a key that can be read as 'auth'.")
		}
	}
	return body, nil
}

// foldKey is a key as the most lenient reader compares it.
func foldKey(key string) string {
	return cases.Fold().String(norm.NFKC.String(key))
}

// mayBeObject reports whether some reader may take a body for a JSON object: by its
// first sign, or because its text is not UTF-8 (Python's reader guesses).
func mayBeObject(raw []byte) bool {
	if len(raw) >= 2 && (raw[0] >= 0xef || raw[0] == 0 || raw[1] == 0) {
		return true
	}
	trimmed := bytes.TrimLeft(raw, " \t\r\n\v\f")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// maySay reports whether a text may have a word in it, for the most lenient reader.
// It is to be cheap: most texts have not, and need not be decoded.
func maySay(raw []byte, word string) bool {
	first := word[0]
	for i, c := range raw {
		switch {
		case c >= 0x80, c == 0, c == '\\' && i+1 < len(raw) && raw[i+1] == 'u':
			return true
		case c|0x20 == first && len(raw)-i >= len(word) && strings.EqualFold(string(raw[i:i+len(word)]), word):
			return true
		}
	}
	return false
}
