// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// lines joins the lines of a file.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

func TestParseRequirements(t *testing.T) {
	long := "id\trequirement\tsource\n"
	for i := range requirementCount {
		long += fmt.Sprintf("R%d\ttext %d\tS%d\n", i+1, i+1, i+1)
	}
	list, err := parseRequirements(long)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list[1], (requirement{ID: "R2", Text: "text 2", Source: "S2"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	bad := map[string]struct{ text, want string }{
		"short":     {lines("id\trequirement\tsource", "R1\ta\tb"), "want 102 requirements, got 1"},
		"long":      {long + "F1\ta\tb\n", "want 102 requirements, got 103"},
		"header":    {lines("id\ttext\tsource"), "line 1: want the header"},
		"empty":     {"", "line 1: want the header"},
		"ragged":    {lines("id\trequirement\tsource", "R1\ta"), "line 2: want 3 tab-separated cells, got 2"},
		"blank":     {lines("id\trequirement\tsource", "R1\t \tb"), `line 2: the cell "requirement" is empty`},
		"twice":     {lines("id\trequirement\tsource", "R1\ta\tb", "R1\tc\td"), "line 3: R1 appears twice"},
		"id":        {lines("id\trequirement\tsource", "X1\ta\tb"), `id "X1" is not R or F and a number`},
		"gap":       {lines("id\trequirement\tsource", "R1\ta\tb", "", "R2\ta\tb"), "line 3: want 3 tab-separated cells"},
		"id zeroed": {lines("id\trequirement\tsource", "R01\ta\tb"), `id "R01"`},
	}
	for name, tt := range bad {
		t.Run(name, func(t *testing.T) {
			if _, err := parseRequirements(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseExceptions(t *testing.T) {
	known := []requirement{{ID: "R1"}, {ID: "F2"}}
	got, err := parseExceptions(lines("id\tstate\treason", "R1\topen\tlater", "F2\tpartial\thalf"), known)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]exception{"R1": {"open", "later"}, "F2": {"partial", "half"}}
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("%s: got %v, want %v", id, got[id], want[id])
		}
	}

	bad := map[string]struct{ text, want string }{
		"unknown": {lines("id\tstate\treason", "R9\topen\tlater"), "R9 is not a known requirement"},
		"state":   {lines("id\tstate\treason", "R1\tclosed\tlater"), `R1 has state "closed"`},
		"reason":  {lines("id\tstate\treason", "R1\topen\t"), `the cell "reason" is empty`},
		"twice":   {lines("id\tstate\treason", "R1\topen\ta", "R1\tpartial\tb"), "R1 appears twice"},
	}
	for name, tt := range bad {
		t.Run(name, func(t *testing.T) {
			if _, err := parseExceptions(tt.text, known); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestCommittedTables reads the tables of this repository: a broken one is
// found here, before a whole run of the tests is judged by it.
func TestCommittedTables(t *testing.T) {
	text, err := os.ReadFile("../../../docs/requirements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known, err := parseRequirements(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile("../../../docs/open.tsv"); err != nil {
		t.Fatal(err)
	}
	if _, err = parseExceptions(string(text), known); err != nil {
		t.Fatal(err)
	}
}
