// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"math"
	"regexp"
	"strconv"
)

// Look is what a brand can change without a layout of its own.
type Look struct {
	// Logo is a name in plain text, or "". Mails load no pictures: whoever
	// serves one learns when it is read.
	Logo        string
	Light, Dark Palette
}

// Palette are the colours of a look, as #rrggbb.
type Palette struct {
	Background, Card, Text, Muted, Accent, OnAccent htmltemplate.CSS
}

// lookRules are the texts of a look.
var lookRules = map[string]rule{
	"logo":             {optional: true, line: true},
	"light background": {colour: true}, "light card": {colour: true}, "light text": {colour: true},
	"light muted": {colour: true}, "light accent": {colour: true}, "light on accent": {colour: true},
	"dark background": {colour: true}, "dark card": {colour: true}, "dark text": {colour: true},
	"dark muted": {colour: true}, "dark accent": {colour: true}, "dark on accent": {colour: true},
}

var colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// loadLook reads the look of a brand. What a file does not say is as in the
// next place.
func loadLook(places sources) (Look, error) {
	found, where := map[string]string{}, map[string]string{}
	for _, src := range places {
		raw, err := read(src.fsys, src.dir+lookFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Look{}, err
		}
		file, err := parseTexts(src.dir+lookFile, raw, lookRules)
		if err != nil {
			return Look{}, err
		}
		for key, p := range file.phrases {
			if _, ok := found[key]; !ok {
				found[key], where[key] = p.plain(&values{}), file.places[key]
			}
		}
	}
	var errs []error
	for _, key := range sortedKeys(lookRules) {
		if got := found[key]; lookRules[key].colour && !colour.MatchString(got) {
			errs = append(errs, fmt.Errorf("%s: %q is %q, not a colour as #rrggbb", where[key], key, got))
		}
	}
	if len(errs) != 0 {
		return Look{}, joined(errs)
	}
	palette := func(scheme string) Palette {
		css := func(name string) htmltemplate.CSS {
			return htmltemplate.CSS(found[scheme+" "+name]) //nolint:gosec // it matches the expression above
		}
		return Palette{
			Background: css("background"), Card: css("card"), Text: css("text"),
			Muted: css("muted"), Accent: css("accent"), OnAccent: css("on accent"),
		}
	}
	l := Look{Logo: found["logo"], Light: palette("light"), Dark: palette("dark")}
	return l, joined([]error{l.Light.legible("light"), l.Dark.legible("dark")})
}

// legible refuses colours that many people could not read: at least 4.5 to 1
// (WCAG 2.2, 1.4.3).
func (p Palette) legible(scheme string) error {
	var errs []error
	for _, pair := range []struct {
		over, under         htmltemplate.CSS
		overName, underName string
	}{
		{p.Text, p.Card, "text", "card"},
		{p.Muted, p.Card, "muted", "card"},
		{p.Accent, p.Card, "accent", "card"},
		{p.OnAccent, p.Accent, "on accent", "accent"},
		{p.Text, p.Background, "text", "background"},
	} {
		if got := contrast(pair.over, pair.under); got < 4.5 {
			errs = append(errs, fmt.Errorf("%s: %s %s on %s has a contrast of %.1f, at least 4.5 is needed",
				lookFile, scheme, pair.overName, pair.underName, got))
		}
	}
	return joined(errs)
}

// contrast is the ratio of WCAG 2.2.
func contrast(a, b htmltemplate.CSS) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c htmltemplate.CSS) float64 {
	linear := func(from int) float64 {
		n, err := strconv.ParseUint(string(c)[from:from+2], 16, 8)
		if err != nil {
			return 0 // it matched the expression
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(1) + 0.7152*linear(3) + 0.0722*linear(5)
}
