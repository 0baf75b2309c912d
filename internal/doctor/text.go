// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// textWidth is where lines are broken, in characters.
const textWidth = 100

// Text writes the report for people: a block for each check, in columns, with
// the advice below the problem, and a summary.
func (r Report) Text(w io.Writer) {
	var b strings.Builder
	check := ""
	for _, f := range r.Findings {
		if f.Check != check {
			if check != "" {
				b.WriteByte('\n')
			}
			check = f.Check
			fmt.Fprintf(&b, "%s\n", check)
		}
		f.write(&b)
	}
	if check != "" {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s (in %s)\n", r.summary(), r.Took.Round(10*time.Millisecond))
	_, _ = io.WriteString(w, b.String()) // to a terminal; there is nobody to tell
}

// write is one finding. The columns are aligned by what severities need, as
// subjects are of any length.
func (f Finding) write(b *strings.Builder) {
	const indent = "           "
	fmt.Fprintf(b, "  %-7s  ", f.Severity)
	head := f.Subject
	if f.Code != codeOK {
		head = strings.TrimSpace(head + " [" + f.Code + "]")
	}
	if head != "" {
		b.WriteString(head)
		b.WriteByte('\n')
		b.WriteString(indent)
	}
	b.WriteString(wrap(f.Problem, indent))
	b.WriteByte('\n')
	if f.Advice == "" {
		return
	}
	advice, snippet, _ := strings.Cut(f.Advice, "\n")
	fmt.Fprintf(b, "%s-> %s\n", indent, wrap(advice, indent+"   "))
	for line := range strings.Lines(snippet) {
		// What is to be copied is not broken.
		fmt.Fprintf(b, "%s       %s\n", indent, strings.TrimRight(line, "\n"))
	}
}

// wrap breaks a text between words.
func wrap(text, indent string) string {
	var b strings.Builder
	room := textWidth - utf8.RuneCountInString(indent)
	used := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > room:
			b.WriteByte('\n')
			b.WriteString(indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// summary counts what needs hands.
func (r Report) summary() string {
	count := func(s Severity) int {
		return len(slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Severity != s }))
	}
	errors, warnings := count(Error), count(Warning)
	switch {
	case len(r.Findings) == 0:
		return "There was nothing to check"
	case errors+warnings == 0:
		return "All is well"
	}
	return plural(errors, "error") + ", " + plural(warnings, "warning")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
