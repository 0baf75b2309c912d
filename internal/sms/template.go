// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The placeholders of a described request. What they stand for is written by
// others, so they are put into the parsed parts of a request, never into its
// text.
const (
	placeTo         = "to"          // the number, digits only
	placePlusTo     = "plus_to"     // the number with "+"
	placeFrom       = "from"        // the originator, or nothing
	placeText       = "text"        // the message
	placeID         = "id"          // the same for every try of one message
	placeReceiptURL = "receipt_url" // where receipts go, or nothing
	placeUnicode    = "unicode"     // whether it needs UCS-2: true or false, or two words of the configuration
	placeSegments   = "segments"    // how many parts it has
)

var placeholders = []string{
	placeTo, placePlusTo, placeFrom, placeText, placeID, placeReceiptURL, placeUnicode, placeSegments,
}

// values are what the placeholders stand for in one message.
type values map[string]string

func valuesOf(m Message, unicodeWord, plainWord string) values {
	word := plainWord
	if m.Unicode {
		word = unicodeWord
	}
	return values{
		placeTo: m.To, placePlusTo: "+" + m.To, placeFrom: m.From, placeText: m.Text, placeID: m.ID,
		placeReceiptURL: m.ReceiptURL, placeUnicode: word, placeSegments: strconv.Itoa(m.Segments),
	}
}

// piece is a literal, or the name of a placeholder.
type piece struct {
	literal, name string
}

// template is a text with placeholders.
type template []piece

// parseTemplate takes a text apart. Braces that are not of a known placeholder
// are refused: a name with a slip of the pen must not go out as it stands.
func parseTemplate(text string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "{}")
		if at == -1 {
			return append(t, piece{literal: rest}), nil
		}
		end := strings.IndexByte(rest[at:], '}')
		if rest[at] == '}' || end == -1 {
			return nil, unknownBraces("")
		}
		name := rest[at+1 : at+end]
		if !slices.Contains(placeholders, name) {
			return nil, unknownBraces(name)
		}
		if at > 0 {
			t = append(t, piece{literal: rest[:at]})
		}
		t = append(t, piece{name: name})
		rest = rest[at+end+1:]
	}
	return t, nil
}

// unknownBraces names what stands in the braces only if it looks like a
// placeholder: it may be part of a secret.
func unknownBraces(name string) error {
	known := "{" + strings.Join(placeholders, "}, {") + "}"
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_.") != "" {
		return errors.New("braces enclose none of the placeholders " + known)
	}
	return fmt.Errorf("unknown placeholder {%s}, known are %s", name, known)
}

// expand puts a text together. Values pass through escape.
func (t template) expand(v values, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		b.WriteString(escape(v[p.name]))
	}
	return b.String()
}

// plain expands a text that is escaped as a whole afterwards.
func (t template) plain(v values) string {
	return t.expand(v, func(s string) string { return s })
}

// omitted reports a field that is to be left out: it is nothing but a
// placeholder that stands for nothing, or is of no use without a receipt URL.
func (t template) omitted(v values) bool {
	if len(t) == 1 && t[0].name != "" && v[t[0].name] == "" {
		return true
	}
	return v[placeReceiptURL] == "" && t.names(placeReceiptURL)
}

func (t template) names(name string) bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.name == name })
}

// hasControls reports characters that end a line, or worse.
func hasControls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
