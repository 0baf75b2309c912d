// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
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
		"text": {"x", true, "", ""}, "empty": {"", true, "", ""}, "null": {"", false, "", CodeMissingParam},
		"none": {"", false, "", CodeMissingParam}, "number": {"", false, CodeInvalidParam, CodeInvalidParam},
	} {
		value, given, err := body.Text(key)
		if value != c.value || given != c.given || codeOf(err) != c.errcode {
			t.Errorf("%s: got %q, %v, %v", key, value, given, err)
		}
		if value, err := body.Required(key); value != c.value || codeOf(err) != c.required {
			t.Errorf("%s, required: got %q, %v", key, value, err)
		}
		if got, want := body.Null(key), c.required == CodeMissingParam; got != want {
			t.Errorf("%s is null: %v, want %v", key, got, want)
		}
	}
}

// TestMembersAreWrittenAsTheyCame, with no sign escaped for a web page, and nothing after
// the last one.
func TestMembersAreWrittenAsTheyCame(t *testing.T) {
	body := Object{"a&b": Encoded("<&>\u2028"), "n": json.RawMessage("1.50")}
	if got, want := string(body.Encode()), `{"a&b":"<&>\u2028","n":1.50}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(Encoded("<&>")); got != `"<&>"` {
		t.Errorf("got %s", got)
	}
	if got := string(Encoded(func() {})); got != "null" {
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
		if got := MaySay([]byte(text), "address"); got != want {
			t.Errorf("%q may say it: %v, want %v", text, got, want)
		}
	}
}

// TestPlainKeys: the short cut leads to the same as the long way.
func TestPlainKeys(t *testing.T) {
	for key, want := range map[string]string{
		"auth": "auth", "AuTh_1 ~": "auth_1 ~", "a\x7futh": "auth", "a\x1futh": "auth", "auth\x00x": "auth", "\u017fid": "sid", "": "",
	} {
		if got := Lenient(key); got != want {
			t.Errorf("%q is read as %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string]bool{"a ~": true, "\x1f": false, "\x7f": false, "\u00e4": false} {
		if _, ok := plainKey(key); ok != want {
			t.Errorf("%q is plain: %v, want %v", key, ok, want)
		}
	}
}
