// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// maxForeign is the longest piece of foreign text that is repeated, in bytes.
// Relays, certificates and DNS records are written by anybody.
const maxForeign = 200

// addressLike finds what may be an address: a relay's reply often repeats the
// one it refuses.
var addressLike = regexp.MustCompile(`[^\s<>"'(),;=]+@[^\s<>"'(),;]+`)

// clean makes foreign text fit for a terminal, a log and a page: no control
// characters, nothing that turns the direction of writing, no addresses, and
// not much of it.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = addressLike.ReplaceAllString(text, "<address>")
	if len(text) > maxForeign {
		text = strings.ToValidUTF8(text[:maxForeign], "") + "…"
	}
	return strings.TrimSpace(text)
}

// cleanSubject is clean for the name of what is looked at. A path may have an
// "@" in it.
func cleanSubject(subject string) string {
	if strings.ContainsAny(subject, `/\`) && !strings.Contains(subject, "://") {
		return strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, subject)
	}
	return clean(subject)
}

// sentence fills in foreign values.
func sentence(format string, values ...any) string {
	cleaned := make([]any, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case int, uint64:
			cleaned[i] = v
		default:
			cleaned[i] = clean(fmt.Sprint(v))
		}
	}
	return fmt.Sprintf(format, cleaned...)
}
