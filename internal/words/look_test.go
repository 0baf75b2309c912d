// SPDX-License-Identifier: Apache-2.0

package words

import (
	"math"
	"strings"
	"testing"
)

// TestLooksThatAreRefused: a colour is a colour, and people can read what is in
// it (WCAG 2.2, 1.4.3).
func TestLooksThatAreRefused(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"a name", define("light accent", "red"), `layout/look.txt:1: "light accent" is "red", not a colour`},
		{"short form", define("light accent", "#abc"), "not a colour"},
		{"more than a colour", define("dark card", "#000000;background:url(x)"), "not a colour"},
		{"end of the style", define("dark card", "</style><script>"), "not a colour"},
		{"a value", define("dark card", "{{.Server}}"), "cannot name {{.Server}}"},
		{"a colour with a typo", define("lihgt card", "#000000"), `did you mean "light card"?`},
		{"no colour", define("light card", ""), "is empty"},
		{"grey on grey", define("light muted", "#999999"), "light muted on card has a contrast of 2.8"},
		{"white on yellow", define("light accent", "#ffff00"), "light on accent on accent has a contrast of 1.1"},
		{"dark on dark", define("dark text", "#333333"), "dark text on card"},
		{"two lines of a logo", define("logo", "a\nb"), "more than one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: folder(lookFile, tt.content)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), lookFile) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestContrast against the examples of WCAG.
func TestContrast(t *testing.T) {
	for _, tt := range []struct {
		a, b Palette
		want float64
	}{
		{Palette{Text: "#000000"}, Palette{Text: "#ffffff"}, 21},
		{Palette{Text: "#ffffff"}, Palette{Text: "#FFFFFF"}, 1},
		{Palette{Text: "#777777"}, Palette{Text: "#ffffff"}, 4.478},
		{Palette{Text: "#ff0000"}, Palette{Text: "#ffffff"}, 3.998},
	} {
		if got := contrast(tt.a.Text, tt.b.Text); math.Abs(got-tt.want) > 0.001 {
			t.Errorf("contrast of %s and %s = %.3f, want %.3f", tt.a.Text, tt.b.Text, got, tt.want)
		}
	}
}

// TestLogoIsText in both parts, whatever is in it.
func TestLogoIsText(t *testing.T) {
	s := loaded(t, folder(lookFile, define("logo", `<img src=x> "Söhne" & Co`)))
	r := mailOf(t, s, linkMail, "ar")
	if !strings.HasPrefix(r.Text, "<img src=x> \"Söhne\" & Co\n") || !strings.Contains(r.HTML, "&lt;img src=x&gt;") {
		t.Errorf("text:\n%s\nHTML:\n%s", r.Text, r.HTML)
	}
}
