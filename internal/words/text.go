// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// spaces are what separates words. A no-break space does not: French writes
// one before a colon.
const spaces = " \t\r\n"

// maxErrors is how many faults are told at once.
const maxErrors = 20

// joined is errors.Join, but not without end.
func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors:maxErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// forbidden are characters that show a reader something other than what is
// written: controls, line and paragraph separators, and the old direction
// overrides (U+202A to U+202E). Isolates are put in where they are needed; one
// more, or one less, would change the order of the rest of a mail. Joiners and
// direction marks belong to the writing of Persian, Hebrew and others.
func forbidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff', r == utf8.RuneError:
		return true
	}
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// checkLetters refuses a file with a forbidden character, and says where.
func checkLetters(path string, raw []byte) error {
	line := 1
	for rest := raw; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if forbidden(r) {
			return fmt.Errorf("%s:%d: the file has the character %U, or is not UTF-8", path, line, r)
		}
		if r == '\n' {
			line++
		}
		rest = rest[size:]
	}
	return nil
}

// joinLines makes one line of a text. A line break is a space, except between
// letters that are written without.
func joinLines(text string, trimLeft, trimRight bool) string {
	var b strings.Builder
	before := rune(0)
	space := false
	if trimLeft {
		text = strings.TrimLeft(text, spaces)
	}
	if trimRight {
		text = strings.TrimRight(text, spaces)
	}
	broken := false
	for _, r := range text {
		if strings.ContainsRune(spaces, r) {
			space, broken = true, broken || r == '\n'
			continue
		}
		if space && !(broken && unspaced(before) && unspaced(r)) {
			b.WriteByte(' ')
		}
		space, broken, before = false, false, r
		b.WriteRune(r)
	}
	if space {
		b.WriteByte(' ')
	}
	return b.String()
}

// unspaced reports letters and signs of Chinese and Japanese.
func unspaced(r rune) bool {
	if r < '\u2e80' {
		return false
	}
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
		return true
	}
	return r >= '\u3000' && r <= '\u303f' || r >= '\uff01' && r <= '\uff65' || r == 'ー'
}

// columns is how wide a terminal shows a character.
func columns(r rune) int {
	switch {
	case r < '\u0300':
		return 1
	case unicode.Is(unicode.Mn, r), r >= isolates[0] && r <= isolates[1]:
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

var isolates = [2]rune{'\u2066', '\u2069'}

const (
	lineWidth = 72
	// A line does not begin with one of these, and does not end with one of
	// those (JIS X 4051, kinsoku).
	notFirst = "、。，．・：；？！）〉》」』】〕］｝ー’”々,.:;?!)]}"
	notLast  = "（〈《「『【〔［｛‘“([{"
)

// wrap breaks a paragraph into lines that a terminal shows whole. What has no
// spaces, such as a host name, is not broken, unless it is written without.
func wrap(paragraph string) string {
	var out, word strings.Builder
	column, size, gap := 0, 0, ""
	flush := func() {
		if size == 0 {
			return
		}
		switch {
		case column == 0:
		case column+len(gap)+size > lineWidth:
			out.WriteByte('\n')
			column = 0
		default:
			out.WriteString(gap)
			column += len(gap)
		}
		out.WriteString(word.String())
		column += size
		word.Reset()
		size, gap = 0, ""
	}
	before := rune(0)
	for _, r := range paragraph {
		if strings.ContainsRune(spaces, r) {
			flush()
			gap, before = " ", 0
			continue
		}
		if (unspaced(r) || unspaced(before)) && before != 0 &&
			!strings.ContainsRune(notFirst, r) && !strings.ContainsRune(notLast, before) {
			flush()
		}
		word.WriteRune(r)
		size += columns(r)
		before = r
	}
	flush()
	return out.String()
}

// suggest names the key that was probably meant.
func suggest[V any](typed string, keys map[string]V) string {
	best, least := "", 4
	for _, key := range sortedKeys(keys) {
		if d := distance(typed, key); d < least {
			best, least = key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is that of Levenshtein. Keys are short.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
