// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxLogo bounds a logo, in bytes: it is part of every page.
const maxLogo = 64 << 10

// Look is the looks of a brand.
type Look struct {
	// Name is shown on top and is the text for a logo; empty means the server.
	Name string
	// CSS sets variables of the style. Colours, as #rgb or #rrggbb, are bg,
	// card, text, muted, accent, on-accent, error and border, and the same with
	// "dark-" in front; radius is a length in px or rem; font is a list of
	// names of fonts that the reader may have.
	CSS map[string]string
	// Logo is a picture with its media type: PNG, JPEG, GIF, WebP or SVG.
	Logo     []byte
	LogoType string
}

// dress is a look that was checked.
type dress struct {
	name   string
	style  template.CSS
	digest string
	logo   template.URL
}

// A value may hold nothing that ends a declaration, a rule or the style
// element, and nothing that loads anything.
var (
	lengthValue = regexp.MustCompile(`^(?:0|(?:[0-9]{1,2}|[0-9]?\.[0-9]{1,2})(?:px|rem))$`)
	fontValue   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 -]{0,39}(?:, ?[A-Za-z][A-Za-z0-9 -]{0,39}){0,7}$`)
)

// tailor checks a look and makes its style.
func (l Look) tailor(server string) (*dress, error) {
	light, dark := maps.Clone(defaultLight), maps.Clone(defaultDark)
	var here, there []string // declarations of the light and of the dark style
	for _, name := range slices.Sorted(maps.Keys(l.CSS)) {
		value := l.CSS[name]
		if err := checkValue(name, value); err != nil {
			return nil, err
		}
		if rest, ok := strings.CutPrefix(name, "dark-"); ok {
			dark[rest] = value
			there = append(there, "--"+rest+":"+value)
			continue
		}
		if _, colour := light[name]; colour {
			light[name] = value
		}
		here = append(here, "--"+name+":"+value)
	}
	if err := errors.Join(checkContrast("light", light), checkContrast("dark", dark)); err != nil {
		return nil, err
	}
	d := &dress{name: l.Name}
	if d.name == "" {
		d.name = server
	}
	style := compose(here, there)
	d.style = template.CSS(style) //nolint:gosec // our own file and values of a strict grammar
	sum := sha256.Sum256([]byte(style))
	d.digest = base64.StdEncoding.EncodeToString(sum[:])
	if len(l.Logo) == 0 {
		return d, nil
	}
	if err := checkLogo(l.Logo, l.LogoType); err != nil {
		return nil, err
	}
	//nolint:gosec // base64 of what was checked to be a picture; in an img element no script of an SVG runs
	d.logo = template.URL("data:" + l.LogoType + ";base64," + base64.StdEncoding.EncodeToString(l.Logo))
	return d, nil
}

// Check refuses a look that could not be read or that would break out of the page.
func (l Look) Check() error {
	_, err := l.tailor("localhost")
	return err
}

// CheckVariable refuses what is no variable of the style, or no value of it.
func CheckVariable(name, value string) error { return checkValue(name, value) }

// compose appends what a look says to the style. Colours of the light style
// must not leak into the dark one, so they stand in a query of their own.
func compose(light, dark []string) string {
	style := pageStyle
	if len(light) > 0 {
		var always, only []string
		for _, declaration := range light {
			name, _, _ := strings.Cut(strings.TrimPrefix(declaration, "--"), ":")
			if _, colour := defaultLight[name]; colour {
				only = append(only, declaration)
			} else {
				always = append(always, declaration)
			}
		}
		if len(always) > 0 {
			style += ":root{" + strings.Join(always, ";") + "}\n"
		}
		if len(only) > 0 {
			style += "@media not all and (prefers-color-scheme:dark){:root{" + strings.Join(only, ";") + "}}\n"
		}
	}
	if len(dark) > 0 {
		style += "@media (prefers-color-scheme:dark){:root{" + strings.Join(dark, ";") + "}}\n"
	}
	return style
}

func checkValue(name, value string) error {
	_, colour := defaultLight[strings.TrimPrefix(name, "dark-")]
	switch {
	case colour:
		if _, err := luminance(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case name == "radius":
		if !lengthValue.MatchString(value) {
			return fmt.Errorf("%s: %q is not a short length in px or rem", name, value)
		}
	case name == "font":
		if !fontValue.MatchString(value) {
			return fmt.Errorf("%s: %q is not a list of names of fonts", name, value)
		}
	default:
		return fmt.Errorf("there is no variable %q; there are %s, radius and font, and dark- with each colour",
			name, strings.Join(slices.Sorted(maps.Keys(defaultLight)), ", "))
	}
	return nil
}

// checkLogo insists that a picture is what it is said to be.
func checkLogo(logo []byte, mediaType string) error {
	if len(logo) > maxLogo {
		return fmt.Errorf("logo: has %d bytes, at most %d are allowed", len(logo), maxLogo)
	}
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		if got := http.DetectContentType(logo); got != mediaType {
			return fmt.Errorf("logo: is %s, not %s as its name says", got, mediaType)
		}
		return nil
	case "image/svg+xml":
		if !bytes.Contains(logo[:min(len(logo), 1024)], []byte("<svg")) {
			return errors.New("logo: is not an SVG as its name says")
		}
		return nil
	}
	return fmt.Errorf("logo: must be a PNG, JPEG, GIF, WebP or SVG, not %q", mediaType)
}
