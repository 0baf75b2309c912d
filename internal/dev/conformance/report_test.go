// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// threeRows is a small list of requirements: R1 has to be proven, R2 is proven
// by half, F1 is open.
func threeRows(run results) input {
	return input{
		Requirements: []requirement{{"R1", "one", "S1"}, {"R2", "two", "S2"}, {"F1", "three", "S3"}},
		Exceptions:   map[string]exception{"R2": {statePartial, "half open"}, "F1": {stateOpen, "later"}},
		Run:          run,
	}
}

// goodRun proves what threeRows asks for.
func goodRun() results {
	return results{{"a", ""}: passed, {"a", "TestR1_R2_X"}: passed, {"a", "TestPlain"}: passed}
}

// same fails the test unless exactly the wanted problems were found, each given
// by a part of its text.
func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestEvaluateGood(t *testing.T) {
	rep := evaluate(threeRows(goodRun()))
	same(t, rep.Problems)
	same(t, rep.Notices)
	states := make([]string, 0, len(rep.Rows))
	for _, r := range rep.Rows {
		states = append(states, r.ID+" "+r.status())
	}
	want := []string{"R1 proven", "R2 proven; half open", "F1 open: later"}
	if !slices.Equal(states, want) {
		t.Errorf("got %q, want %q", states, want)
	}
	if got, want := rep.Rows[0].Proofs, []testID{{"a", "TestR1_R2_X"}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEvaluateProblems(t *testing.T) {
	promise := map[string][]testID{"R1": {{"a", "TestR1_Old"}}}
	tests := []struct {
		name      string
		change    results
		drop      testID
		committed map[string][]testID
		rewrite   bool
		want      []string
	}{
		{
			name: "required row without a test", drop: testID{"a", "TestR1_R2_X"}, change: results{{"a", "TestR2"}: passed},
			want: []string{"R1 has no passing test"},
		},
		{
			name: "half-open row without a test", drop: testID{"a", "TestR1_R2_X"}, change: results{{"a", "TestR1"}: passed},
			want: []string{"R2 has no passing test"},
		},
		{
			name: "a failing test proves nothing", change: results{{"a", "TestR1_R2_X"}: failed},
			want: []string{"a.TestR1_R2_X failed", "R1 has no passing test", "R2 has no passing test"},
		},
		{
			name: "a failing test of no requirement", change: results{{"a", "TestPlain"}: failed},
			want: []string{"a.TestPlain failed"},
		},
		{name: "a failing package", change: results{{"b", ""}: failed}, want: []string{"b failed"}},
		{
			name: "an unfinished test", change: results{{"b", "TestSlow"}: unfinished},
			want: []string{"b.TestSlow was started and never finished"},
		},
		{
			name: "an unknown requirement", change: results{{"b", "TestR99_X"}: passed},
			want: []string{"b.TestR99_X names R99"},
		},
		{
			name: "an open row that is proven", change: results{{"b", "TestF1_X"}: passed},
			want: []string{"F1 is open in docs/open.tsv, but b.TestF1_X proves it"},
		},
		{
			name: "a promise of a test that is gone", committed: promise,
			want: []string{"R1: the document names a.TestR1_Old, which does not exist or did not run"},
		},
		{
			name: "a promise of a test that fails", committed: promise, change: results{{"a", "TestR1_Old"}: failed},
			want: []string{"a.TestR1_Old failed", "R1: the document names a.TestR1_Old, which did not pass (fail)"},
		},
		{
			name: "a promise of a test of another row", committed: map[string][]testID{"R1": {{"a", "TestPlain"}}},
			want: []string{"R1: the document names a.TestPlain, whose name does not say so"},
		},
		{name: "a promise about to be replaced", committed: promise, rewrite: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := goodRun()
			delete(run, tt.drop)
			maps.Copy(run, tt.change)
			in := threeRows(run)
			in.Committed, in.Rewrite = tt.committed, tt.rewrite
			same(t, evaluate(in).Problems, tt.want...)
		})
	}
}

func TestEvaluateSkipped(t *testing.T) {
	run := goodRun()
	run[testID{"e2e", "TestE2E"}] = skipped
	in := threeRows(run)
	kept := []testID{{"a", "TestR1_R2_X"}, {"e2e", "TestE2E/R1_reset"}}
	in.Committed = map[string][]testID{"R1": kept}

	rep := evaluate(in)
	same(t, rep.Problems)
	same(t, rep.Notices, "e2e.TestE2E was skipped")
	if got := rep.Rows[0].Proofs; !slices.Equal(got, kept) {
		t.Errorf("got %v, want %v", got, kept)
	}

	in.Strict = true
	rep = evaluate(in)
	same(t, rep.Problems, "e2e.TestE2E was skipped; under CI=true every test runs",
		"R1: the document names e2e.TestE2E/R1_reset, which does not exist or did not run")
	same(t, rep.Notices)
	if got, want := rep.Rows[0].Proofs, kept[:1]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEvaluateSubtests(t *testing.T) {
	run := results{
		{"a", "TestR1_R2_X"}:          passed,
		{"a", "TestR1_R2_X/R1_again"}: passed,
		{"a", "TestAll"}:              passed,
		{"a", "TestAll/R1_one"}:       passed,
		{"a", "TestAll/R1_one/deep"}:  passed,
	}
	rep := evaluate(threeRows(run))
	same(t, rep.Problems)
	want := []testID{{"a", "TestAll/R1_one"}, {"a", "TestR1_R2_X"}}
	if got := rep.Rows[0].Proofs; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
