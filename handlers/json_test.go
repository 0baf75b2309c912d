// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestMembersAreTexts, or none, or refused: what is null is none.
func TestMembersAreTexts(t *testing.T) {
	body := mustObject(t, []byte(`{"text":"x","empty":"","null": null ,"number":1}`))
	for key, c := range map[string]struct {
		value    string
		given    bool
		errcode  string
		required string // the error code if it has to be there
	}{
		"text": {"x", true, "", ""}, "empty": {"", true, "", ""}, "null": {"", false, "", codeMissingParam},
		"none": {"", false, "", codeMissingParam}, "number": {"", false, codeInvalidParam, codeInvalidParam},
	} {
		value, given, err := body.text(key)
		if value != c.value || given != c.given || codeOf(err) != c.errcode {
			t.Errorf("%s: got %q, %v, %v", key, value, given, err)
		}
		if value, err := body.required(key); value != c.value || codeOf(err) != c.required {
			t.Errorf("%s, required: got %q, %v", key, value, err)
		}
		if got, want := body.null(key), c.required == codeMissingParam; got != want {
			t.Errorf("%s is null: %v, want %v", key, got, want)
		}
	}
}

// codeOf is that of an error, or empty.
func codeOf(err error) string {
	if me, ok := errors.AsType[*MatrixError](err); ok {
		return me.Errcode
	}
	return ""
}

// TestMembersAreWrittenAsTheyCame, with no sign escaped for a web page, and nothing after
// the last one.
func TestMembersAreWrittenAsTheyCame(t *testing.T) {
	body := object{"a&b": member("<&>\u2028"), "n": json.RawMessage("1.50")}
	if got, want := string(body.encode()), `{"a&b":"<&>\u2028","n":1.50}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(member("<&>")); got != `"<&>"` {
		t.Errorf("got %s", got)
	}
	if got := string(member(func() {})); got != "null" {
		t.Errorf("got %s of what cannot be written", got)
	}
}

// TestMaySayErrsOnTheSideOfYes: a text in which somebody could read a word is looked at.
func TestMaySayErrsOnTheSideOfYes(t *testing.T) {
	for text, want := range map[string]bool{
		`{"address":1}`: true, `ADDRESS`: true, `xaddress`: true, `aadDress`: true, "address": true,
		`addr`: false, `add ress`: false, `{"user":"x"}`: false, ``: false, "bddress": false,
		"\u00e4": true, "\x80": true, "\x00": true, `\u0061`: true, `\n`: false, `\`: false, "\x7f\x01": false, `u`: false,
		strings.Repeat("a", 100): false,
	} {
		if got := maySay([]byte(text), "address"); got != want {
			t.Errorf("%q may say it: %v, want %v", text, got, want)
		}
	}
}

// TestPlainKeys: the short cut leads to the same as the long way.
func TestPlainKeys(t *testing.T) {
	for key, want := range map[string]string{
		"auth": "auth", "AuTh_1 ~": "auth_1 ~", "a\x7futh": "auth", "a\x1futh": "auth", "auth\x00x": "auth", "\u017fid": "sid", "": "",
	} {
		if got := lenient(key); got != want {
			t.Errorf("%q is read as %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string]bool{"a ~": true, "\x1f": false, "\x7f": false, "\u00e4": false} {
		if _, ok := plainKey(key); ok != want {
			t.Errorf("%q is plain: %v, want %v", key, ok, want)
		}
	}
}
