// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

const preamble = `# Conformance

Every requirement on this project, and the tests that prove it. Generated from
the names of the tests by ` + "`make conformance`" + `; do not edit. The ids, the wording
and the sources are those of [requirements.tsv](requirements.tsv); what is not
met yet is listed, with its reason, in [open.tsv](open.tsv).

A test stands for the ids that its name begins with. In the column "proven by" a
test is written as its package and its name; a subtest follows after a slash.

`

const tableHead = "| id | requirement | source | proven by | status |\n|---|---|---|---|---|\n"

// render writes the document.
func render(rows []row) string {
	var b strings.Builder
	b.WriteString(preamble)
	count := map[string]int{}
	for _, r := range rows {
		count[r.State]++
	}
	fmt.Fprintf(&b, "%d requirements: %d proven, %d proven in part, %d open",
		len(rows), count[stateProven], count[statePartial], count[stateOpen])
	if n := count[stateMissing]; n > 0 {
		fmt.Fprintf(&b, ", **%d without a test**", n)
	}
	b.WriteString(".\n\n" + tableHead)
	for _, r := range rows {
		names := make([]string, len(r.Proofs))
		for i, id := range r.Proofs {
			names[i] = "`" + cell(id.String()) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n",
			r.ID, cell(r.Text), cell(r.Source), strings.Join(names, proofSeparator), cell(r.status()))
	}
	return b.String()
}

const proofSeparator = "<br>"

// status is the last column: what holds, and what does not yet.
func (r row) status() string {
	switch r.State {
	case statePartial:
		return stateProven + "; " + r.Reason
	case stateOpen:
		return stateOpen + ": " + r.Reason
	default:
		return r.State
	}
}

// cell protects a text from ending its table cell.
func cell(text string) string {
	return strings.ReplaceAll(text, "|", `\|`)
}

// parseDocument reads the proofs back out of a rendered document. Lines that
// are not rows of the table are passed over: whether the rest is as it should
// be is found by comparing the whole.
func parseDocument(text string) map[string][]testID {
	const placeholder = "\x00"
	proofs := map[string][]testID{}
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, placeholder), "|")
		if len(cells) != 7 || !idPattern.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		id := strings.TrimSpace(cells[1])
		names := strings.TrimSpace(strings.ReplaceAll(cells[4], placeholder, "|"))
		for name := range strings.SplitSeq(names, proofSeparator) {
			if name = strings.Trim(name, "`"); name != "" {
				proofs[id] = append(proofs[id], parseTest(name))
			}
		}
	}
	return proofs
}

// parseTest reverses testID.String.
func parseTest(text string) testID {
	for _, prefix := range []string{".Test", ".Fuzz"} {
		if i := strings.Index(text, prefix); i >= 0 {
			return testID{Package: text[:i], Name: text[i+1:]}
		}
	}
	return testID{Package: text}
}
