// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"strings"
	"testing"
)

// TestHalvesOfCharactersAreFound, wherever they stand: an escape before them hides none,
// and what only looks like the other half is none.
func TestHalvesOfCharactersAreFound(t *testing.T) {
	for text, want := range map[string]bool{
		``: false, `é`: false, `\n`: false, `\u00e9`: false, `\\ud800`: false, `\\\\udc00`: false,
		`\ud7ff`: false, `\ue000`: false, `\uffff`: false, `\ud800\udc00`: false, `\udbff\udfff`: false, `\uD83D\uDE00x`: false,
		`\ud800`: true, `\udbff`: true, `\udc00`: true, `\udfff`: true, `x\udc00`: true,
		`\ud800\udbff`: true, `\ud800\ue000`: true, `\ud800\ud800\udc00`: true, `\ud800x`: true, `\ud800xudc00`: true, `\ud800\ndc00`: true, `\ud800\\udc00`: true,
		`\ud83d\ude00\udc00`: true, `\u0041\udc00`: true, `\n\udc00`: true, `\\\udc00`: true, `\ud83d\ude00\ud83d`: true, `\ud83d\ude00\ud83d\ude00`: false,
	} {
		if got := halfCharacter([]byte(`"` + text + `"`)); got != want {
			t.Errorf("%s has half a character: %v, want %v", text, got, want)
		}
	}
}

// TestHowDeepBodiesMayBe, and that arrays and objects end where they end.
func TestHowDeepBodiesMayBe(t *testing.T) {
	for depth, want := range map[int]bool{1: true, maxDepth - 1: true, maxDepth: false} {
		_, err := ParseObject([]byte(`{"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`))
		if (err == nil) != want {
			t.Errorf("%d arrays in an object: got %v", depth, err)
		}
	}
	wide := `{"x":[` + strings.Repeat(`[{}],`, 2*maxDepth) + `1],"y":{},"z":{"a":{},"b":1}}`
	if _, err := ParseObject([]byte(wide)); err != nil {
		t.Errorf("got %v: they stand side by side", err)
	}
}

// TestWhatMayBeAnObjectToSomebody: what a lenient reader passes over before it.
func TestWhatMayBeAnObjectToSomebody(t *testing.T) {
	for raw, want := range map[string]bool{
		"{": true, " \t\r\n\v\f{": true, "\xef\xbb\xbf{": true, "\xff\xfe{\x00": true, "\xfe\xff\x00{": true, "\xef\xbb\xbf\x00 {": true,
		"": false, "[": false, " ": false, "x{": false, "\xef\xbb\xbf": false,
	} {
		if got := ResemblesObject([]byte(raw)); got != want {
			t.Errorf("%q may be one: %v, want %v", raw, got, want)
		}
	}
}
