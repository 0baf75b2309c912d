// SPDX-License-Identifier: Apache-2.0

package words

import (
	"html"
	htmltemplate "html/template"
	"strings"
)

// part is a piece of text, and a value that follows it, or 0.
type part struct {
	text  string
	value value
}

// phrase is one text of a language. It is not a template any more: it cannot
// decide, call or repeat anything, so nothing but the text and the values of
// its rule can come out of it, and it ends.
type phrase []part

// names returns the values that occur in it.
func (p phrase) names() value {
	var all value
	for _, part := range p {
		all |= part.value
	}
	return all
}

// values are what the parts of a phrase stand for.
type values struct {
	server, life, until, n, address, code string
	made, app, network                    string
}

func (v *values) of(which value) string {
	switch which {
	case valueServer:
		return v.server
	case valueLife:
		return v.life
	case valueUntil:
		return v.until
	case valueN:
		return v.n
	case valueAddress:
		return v.address
	case valueCode:
		return v.code
	case valueMade:
		return v.made
	case valueApp:
		return v.app
	case valueNetwork:
		return v.network
	}
	return ""
}

// Isolates (UAX #9 §2.4.2) keep a name in Latin letters from changing the
// order of the words around it. They are never put around what is copied.
const (
	isolateLTR   = "\u2066"
	isolateFirst = "\u2068" // the direction of its first letter
	isolateEnd   = "\u2069"
)

// latin are the values that are written from left to right in any language.
// A life is in words of the language, and an address may be in any letters.
var latin = valueServer | valueUntil | valueMade | valueApp | valueNetwork

// plain is the phrase as it stands in a header, where isolates are not known
// to every mail program.
func (p phrase) plain(v *values) string {
	var b strings.Builder
	for _, part := range p {
		b.WriteString(part.text)
		b.WriteString(v.of(part.value))
	}
	return b.String()
}

// isolated is the phrase in plain text of a language that is written from
// right to left.
func (p phrase) isolated(v *values) string {
	var b strings.Builder
	for _, part := range p {
		b.WriteString(part.text)
		switch {
		case part.value&latin != 0:
			b.WriteString(isolateLTR + v.of(part.value) + isolateEnd)
		case part.value == valueAddress:
			b.WriteString(isolateFirst + v.of(part.value) + isolateEnd)
		default:
			b.WriteString(v.of(part.value))
		}
	}
	return b.String()
}

// markup is the phrase in HTML. Text and values are escaped alike.
func (p phrase) markup(v *values, rtl bool) htmltemplate.HTML {
	var b strings.Builder
	for _, part := range p {
		b.WriteString(html.EscapeString(part.text))
		escaped := html.EscapeString(v.of(part.value))
		switch {
		case part.value == valueAddress:
			b.WriteString("<bdi>" + escaped + "</bdi>")
		case part.value == valueUntil || part.value == valueMade:
			b.WriteString(`<bdi dir="ltr" style="white-space:nowrap">` + escaped + "</bdi>")
		case rtl && part.value&latin != 0:
			b.WriteString(`<bdi dir="ltr">` + escaped + "</bdi>")
		default:
			b.WriteString(escaped)
		}
	}
	return htmltemplate.HTML(b.String()) //nolint:gosec // everything in it was escaped above
}
