// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDefaultColours: the colours that contrast is computed from are those of
// the style, and all can be read.
func TestDefaultColours(t *testing.T) {
	light, dark, found := strings.Cut(pageStyle, "@media (prefers-color-scheme:dark)")
	if !found {
		t.Fatal("the style has no dark scheme")
	}
	for scheme, c := range map[string]struct {
		style   string
		colours map[string]string
	}{"light": {light, defaultLight}, "dark": {dark, defaultDark}} {
		declared := regexp.MustCompile(`--([a-z-]+):(#[0-9a-f]+)[;}]`).FindAllStringSubmatch(c.style, -1)
		if len(declared) != len(c.colours) {
			t.Errorf("%s: the style has %d colours, want %d", scheme, len(declared), len(c.colours))
		}
		for _, m := range declared {
			if c.colours[m[1]] != m[2] {
				t.Errorf("%s: %s is %s in the style and %s in the table", scheme, m[1], m[2], c.colours[m[1]])
			}
		}
		if err := checkContrast(scheme, c.colours); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(pageStyle, "</") || strings.Contains(pageStyle, "url(") || strings.Contains(pageStyle, "animation") {
		t.Error("the style has something that it must not have")
	}
}

// TestContrast against the examples that everybody knows.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{{"#000", "#fff", 21}, {"#ffffff", "#fff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54}, {"#00F", "#fff", 8.59}} {
		a, errA := luminance(c.a)
		b, errB := luminance(c.b)
		if got := contrast(a, b); errA != nil || errB != nil || math.Abs(got-c.want) > 0.01 || got != contrast(b, a) {
			t.Errorf("%s on %s: got %.3f, want %.2f (%v, %v)", c.a, c.b, got, c.want, errA, errB)
		}
	}
}

func TestLooksThatAreRefused(t *testing.T) {
	for value, name := range map[string]string{
		"red": "bg", "#12": "bg", "#1234567": "bg", "#+12345": "bg", "#12345g": "bg", "": "bg", "#fff;}": "bg", "#fff</style>": "card",
		"var(--x)": "text", "rgb(0,0,0)": "text", "#fff ": "text", "1em": "radius", "-1px": "radius", "100px": "radius", "1px;}": "radius", "calc(1px)": "radius",
		"a;b": "font", "url(x)": "font", `"a"`: "font", "a,": "font", "a}": "font", "a\\": "font", "a\n": "font", "</style": "font", "#000": "shadow",
		"#001": "dark-", "#002": "--bg", "#003": "dark-dark-bg", "1px": "dark-radius", "serif": "dark-font",
	} {
		if d, err := (Look{CSS: map[string]string{name: value}}).tailor("x"); err == nil {
			t.Errorf("%s: %q was accepted: %.80s", name, value, d.style)
		}
	}
	for name, look := range map[string]Look{
		"grey on white":         {CSS: map[string]string{"muted": "#999"}},
		"pale button":           {CSS: map[string]string{"accent": "#5fd3b3"}},
		"dark text in the dark": {CSS: map[string]string{"dark-text": "#333"}},
		"edge that is not seen": {CSS: map[string]string{"border": "#eee"}},
		"no picture":            {Logo: []byte("hello"), LogoType: "image/png"},
		"another picture":       {Logo: []byte("GIF89a..."), LogoType: "image/png"},
		"a page":                {Logo: []byte("<html>"), LogoType: "text/html"},
		"no SVG":                {Logo: []byte("<b>"), LogoType: "image/svg+xml"},
		"no type":               {Logo: []byte("GIF89a...")},
		"too big":               {Logo: append([]byte("GIF89a"), make([]byte, maxLogo)...), LogoType: "image/gif"},
	} {
		if _, err := look.tailor("x"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLooksThatAreTaken(t *testing.T) {
	d, err := Look{
		Name: "Example", CSS: map[string]string{"accent": "#00c", "dark-accent": "#99F", "radius": ".5rem", "font": "Inter, Noto Sans, sans-serif"},
		Logo: []byte("<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>"), LogoType: "image/svg+xml",
	}.tailor("matrix.example.org")
	if err != nil {
		t.Fatal(err)
	}
	_, ours, _ := strings.Cut(string(d.style), pageStyle)
	want := ":root{--font:Inter, Noto Sans, sans-serif;--radius:.5rem}\n" +
		"@media not all and (prefers-color-scheme:dark){:root{--accent:#00c}}\n@media (prefers-color-scheme:dark){:root{--accent:#99F}}\n"
	if ours != want {
		t.Errorf("got style\n%s\nwant\n%s", ours, want)
	}
	if d.name != "Example" || !strings.HasPrefix(string(d.logo), "data:image/svg+xml;base64,PHN2Zy") {
		t.Errorf("got name %q, logo %.40q", d.name, d.logo)
	}
	plain, err := Look{}.tailor("matrix.example.org")
	if err != nil || plain.name != "matrix.example.org" || string(plain.style) != pageStyle || plain.logo != "" {
		t.Errorf("got %+v, %v", plain, err)
	}
	for _, logo := range []struct{ content, kind string }{
		{"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"GIF89a", "image/gif"}, {"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
	} {
		if _, err := (Look{Logo: []byte(logo.content), LogoType: logo.kind}).tailor("x"); err != nil {
			t.Error(err)
		}
	}
}

// TestNoLookBreaksOut: whatever is accepted stays inside its declaration.
func TestNoLookBreaksOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"bg", "accent", "dark-text", "radius", "font"}).Draw(t, "name")
		value := rapid.OneOf(
			rapid.String(), rapid.StringMatching(`#?[0-9a-fA-F]{3,6}.?`), rapid.StringMatching(`[a-zA-Z ,;{}<>/"'()\\-]{1,30}`),
			rapid.StringMatching(`[0-9.]{1,3}(px|rem|em)[;}]?`),
		).Draw(t, "value")
		if err := checkValue(name, value); err == nil && strings.ContainsAny(value, ";{}<>\"'()\\:/*@\n\r\f\x00") {
			t.Fatalf("%s: %q was accepted", name, value)
		}
	})
}

// TestContrastNeverPassesWhatIsTooLow checks the arithmetic the other way
// round: two colours that are accepted differ by what the standard asks for.
func TestContrastNeverPassesWhatIsTooLow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grey := rapid.IntRange(0, 255).Draw(t, "grey")
		colour := fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
		_, err := Look{CSS: map[string]string{"text": colour}}.tailor("x")
		a, _ := luminance(colour)
		b, _ := luminance(defaultLight["bg"])
		if readable := contrast(a, b) >= 4.5; readable != (err == nil) {
			t.Fatalf("%s: contrast %.2f, error %v", colour, contrast(a, b), err)
		}
	})
}
