// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The colours of style.css; a test holds the two together.
var (
	defaultLight = map[string]string{
		"bg": "#f4f5f7", "card": "#ffffff", "text": "#17191c", "muted": "#5c6570",
		"accent": "#0a6b53", "on-accent": "#ffffff", "error": "#b3261e", "border": "#767f8a",
	}
	defaultDark = map[string]string{
		"bg": "#101317", "card": "#1b2026", "text": "#eef1f4", "muted": "#a6afb9",
		"accent": "#5fd3b3", "on-accent": "#0c1f19", "error": "#ffb4ab", "border": "#8b95a1",
	}
)

// pairs are the colours that stand on one another, and the least contrast
// between them: WCAG 2.2, 1.4.3 for text and 1.4.11 for edges.
var pairs = []struct {
	over, under string
	least       float64
}{
	{"text", "bg", 4.5},
	{"text", "card", 4.5},
	{"muted", "bg", 4.5},
	{"muted", "card", 4.5},
	{"on-accent", "accent", 4.5},
	{"accent", "card", 4.5},
	{"error", "card", 4.5},
	{"border", "card", 3},
}

// checkContrast refuses colours that many people could not read.
func checkContrast(scheme string, colours map[string]string) error {
	var errs []error
	for _, p := range pairs {
		a, errA := luminance(colours[p.over])
		b, errB := luminance(colours[p.under])
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		if got := contrast(a, b); got < p.least {
			errs = append(errs, fmt.Errorf("css %s: on %s it has a contrast of %.2f in the %s style, at least %.1f is needed",
				variable(scheme, p.over), variable(scheme, p.under), got, scheme, p.least))
		}
	}
	return errors.Join(errs...)
}

// variable is the name by which a look sets a colour.
func variable(scheme, colour string) string {
	if scheme == "dark" {
		return "dark-" + colour
	}
	return colour
}

// contrast is the contrast ratio of WCAG 2.2.
func contrast(a, b float64) float64 {
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// luminance is the relative luminance of WCAG 2.2 of #rgb or #rrggbb.
func luminance(colour string) (float64, error) {
	digits, ok := strings.CutPrefix(colour, "#")
	if ok && len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || len(digits) != 6 || err != nil {
		return 0, fmt.Errorf("%q is not a colour as #rgb or #rrggbb", colour)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0), nil
}
