// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// securityDocument is the threat model. It names a test for every defence.
const securityDocument = "docs/security.md"

// table is one of its tables that has to be complete.
type table struct {
	// Heading is that of its section.
	Heading string
	// Rows are the numbers that it has to have, and their kind of test.
	Rows []int
}

// securityTables are what others were attacked with, and what homeservers fall
// for. The numbers are those of the lists that they were collected in; there is
// no advisory 22.
var securityTables = []table{
	{"## What others were attacked with", slices.DeleteFunc(upTo(30), func(n int) bool { return n == 22 })},
	{"## What homeservers fall for", upTo(18)},
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return list
}

var (
	namedTest  = regexp.MustCompile("`([a-z][a-z0-9/]*\\.(?:Test|Fuzz)[^`\\s]*)`")
	numberCell = regexp.MustCompile(`^\s*\d+(?:, \d+)*\s*$`)
)

// namedTests returns the tests that a text names, each once, in their order.
func namedTests(text string) []testID {
	var ids []testID
	for _, match := range namedTest.FindAllStringSubmatch(text, -1) {
		if id := parseTest(match[1]); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// section returns the text below a heading, up to the next of its rank.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, "\n"+heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// numbered returns the rows of a section's table by their numbers; one row may
// stand for several.
func numbered(text string) map[int]string {
	rows := map[int]string{}
	for line := range strings.Lines(text) {
		cells := strings.SplitN(line, "|", 3)
		if len(cells) != 3 || !numberCell.MatchString(cells[1]) {
			continue
		}
		for number := range strings.SplitSeq(cells[1], ",") {
			if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil {
				rows[n] += cells[2]
			}
		}
	}
	return rows
}

// checkSecurity reports every promise of the threat model that the run does not
// keep: tests that do not exist, did not run or did not pass, and rows without
// one.
func (rep *report) checkSecurity(text string, in input) {
	for _, t := range securityTables {
		rows := numbered(section(text, t.Heading))
		for _, n := range t.Rows {
			row, ok := rows[n]
			switch {
			case !ok:
				rep.problem("%s: %q has no row %d", securityDocument, t.Heading, n)
			case len(namedTests(row)) == 0:
				rep.problem("%s: row %d of %q names no test", securityDocument, n, t.Heading)
			}
		}
	}
	for _, id := range namedTests(text) {
		if problem := in.broken(id); problem != "" {
			rep.problem("%s names %s, which %s", securityDocument, id, problem)
		}
	}
}

// broken says what keeps a test from proving anything, or nothing. Where not
// every test has to run, one that was skipped is believed.
func (in input) broken(id testID) string {
	switch outcome, ran := in.Run[id]; {
	case outcome == passed, in.Run.skippedAround(id) && !in.Strict:
		return ""
	case !ran:
		return "does not exist or did not run"
	default:
		return fmt.Sprintf("did not pass (%s)", outcome)
	}
}
