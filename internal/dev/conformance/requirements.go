// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// requirementCount is how many rows the project answers for. A row can be
// open, but none can quietly leave the list.
const requirementCount = 102

// requirement is one row of docs/requirements.tsv.
type requirement struct {
	ID, Text, Source string
}

// exception is one row of docs/open.tsv: a requirement that no test has to
// prove yet (state open), or one of which a part is proven (state partial).
type exception struct {
	State, Reason string
}

const (
	stateOpen    = "open"
	statePartial = "partial"
)

// parseRequirements reads docs/requirements.tsv and refuses a list that is not
// complete.
func parseRequirements(text string) ([]requirement, error) {
	rows, err := parseTSV(text, "id", "requirement", "source")
	if err != nil {
		return nil, err
	}
	list := make([]requirement, 0, len(rows))
	for _, row := range rows {
		if !idPattern.MatchString(row[0]) {
			return nil, fmt.Errorf("id %q is not R or F and a number", row[0])
		}
		list = append(list, requirement{ID: row[0], Text: row[1], Source: row[2]})
	}
	if len(list) != requirementCount {
		return nil, fmt.Errorf("want %d requirements, got %d", requirementCount, len(list))
	}
	return list, nil
}

// parseExceptions reads docs/open.tsv. Every row has to name a known
// requirement, so that a list of open points cannot outlive what it is about.
func parseExceptions(text string, known []requirement) (map[string]exception, error) {
	rows, err := parseTSV(text, "id", "state", "reason")
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(known))
	for _, r := range known {
		ids[r.ID] = true
	}
	list := make(map[string]exception, len(rows))
	for _, row := range rows {
		if !ids[row[0]] {
			return nil, fmt.Errorf("%s is not a known requirement", row[0])
		}
		if row[1] != stateOpen && row[1] != statePartial {
			return nil, fmt.Errorf("%s has state %q, want %s or %s", row[0], row[1], stateOpen, statePartial)
		}
		list[row[0]] = exception{State: row[1], Reason: row[2]}
	}
	return list, nil
}

// parseTSV splits a table with a header line into its rows. Empty cells,
// ragged rows and repeated first cells are errors.
func parseTSV(text string, header ...string) ([][]string, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if want := strings.Join(header, "\t"); lines[0] != want {
		return nil, fmt.Errorf("line 1: want the header %q, got %q", want, lines[0])
	}
	seen := make(map[string]bool, len(lines))
	rows := make([][]string, 0, len(lines)-1)
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != len(header) {
			return nil, fmt.Errorf("line %d: want %d tab-separated cells, got %d", i+2, len(header), len(cells))
		}
		for j, cell := range cells {
			if strings.TrimSpace(cell) == "" {
				return nil, fmt.Errorf("line %d: the cell %q is empty", i+2, header[j])
			}
		}
		if seen[cells[0]] {
			return nil, fmt.Errorf("line %d: %s appears twice", i+2, cells[0])
		}
		seen[cells[0]] = true
		rows = append(rows, cells)
	}
	return rows, nil
}
