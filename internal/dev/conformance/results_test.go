// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const testModule = "example.org/mod"

func TestParseResults(t *testing.T) {
	file, err := os.Open("testdata/run.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	run, err := parseResults(file, testModule)
	if err != nil {
		t.Fatal(err)
	}
	want := results{
		{"store", ""}:                   passed,
		{"store", "TestR1_Put"}:         passed,
		{"store", "TestR1_Put/empty"}:   passed,
		{"store", "TestNoDisk"}:         skipped,
		{"internal/x", ""}:              failed,
		{"internal/x", "TestF2_Wrong"}:  failed,
		{"internal/x", "TestTwice"}:     failed,
		{"internal/x", "TestPanics"}:    unfinished,
		{"internal/x", "FuzzF3_Parser"}: passed,
		{"broken", ""}:                  failed,
		{".", ""}:                       passed,
		{".", "TestRoot"}:               passed,
	}
	for id, outcome := range want {
		if run[id] != outcome {
			t.Errorf("%v: got %q, want %q", id, run[id], outcome)
		}
	}
	for id := range run {
		if _, found := want[id]; !found {
			t.Errorf("unexpected %v: %q", id, run[id])
		}
	}
}

func TestParseResultsRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":    {"", "no test ran"},
		"no tests":   {`{"Action":"skip","Package":"example.org/mod/cmd"}`, "no test ran"},
		"only text":  {"go: downloading example.org/other v1.0.0\n", "no test ran"},
		"broken":     {"{\"Action\":\"run\"\n", "line 1"},
		"wrong type": {"\n{\"Action\":1}\n", "line 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseResults(strings.NewReader(tt.text), testModule)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestResultsWith(t *testing.T) {
	run := results{
		{"b", "TestB"}: passed, {"a", "TestZ"}: passed, {"a", "TestA"}: skipped, {"a", "TestF"}: failed,
	}
	got := run.with(passed, skipped)
	want := []testID{{"a", "TestA"}, {"a", "TestZ"}, {"b", "TestB"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSkippedAround(t *testing.T) {
	run := results{{"e2e", "TestE2E"}: skipped, {"e2e", "TestOther"}: passed}
	tests := map[testID]bool{
		{"e2e", "TestE2E"}:            true,
		{"e2e", "TestE2E/R1_reset"}:   true,
		{"e2e", "TestE2E/a/R1_reset"}: true,
		{"e2e", "TestOther"}:          false,
		{"e2e", "TestOther/R1"}:       false,
		{"other", "TestE2E"}:          false,
		{"e2e", "TestE2EMore"}:        false,
	}
	for id, want := range tests {
		if got := run.skippedAround(id); got != want {
			t.Errorf("%v: got %v, want %v", id, got, want)
		}
	}
}

func TestTestIDString(t *testing.T) {
	tests := map[testID]string{
		{"internal/x", "TestA/b"}: "internal/x.TestA/b",
		{".", "TestA"}:            "..TestA",
		{"internal/x", ""}:        "internal/x",
	}
	for id, want := range tests {
		if got := id.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := parseTest(want); got != id {
			t.Errorf("got %v, want %v", got, id)
		}
	}
}
