// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
)

// wired lets the set-up be put together in this wrong way.
func wired(code string) broken {
	return broken{"wiring: " + code, func(r *rig) {
		r.wiring = []WiringProblem{{code, "matrix.example.org", "Something is wrong with %s.", []any{"it"}}}
	}, []string{"wiring " + code}}
}

var wiringFaults = []broken{
	wired(CodeSiteMissing), wired(CodeIdentityMissing), wired(CodeIdentityPort), wired(CodeIdentityHidden), wired(CodeLinksNotCovered),
	wired(CodePathsNotCovered), wired(CodePathCut), wired(CodeNothingBehind), wired(CodeWayAround),
	wired(CodeProxyNotTrusted), wired(CodeNotTrusted), wired(CodeUnreached),
}

// TestWiringAlone: what is said at load is what the doctor says, and nothing
// else is asked for it.
func TestWiringAlone(t *testing.T) {
	o := Options{Homeserver: "dendrite", IdentityName: "localhost:8443", Wiring: func() []WiringProblem {
		return []WiringProblem{{CodeIdentityMissing, "localhost:8443", "No site.", nil}, {CodeNotTrusted, "localhost:8443", "Not %s.", []any{"\x1btrusted"}}}
	}}
	got := Wiring(o)
	want := Run(t.Context(), Options{Wiring: o.Wiring, Homeserver: o.Homeserver, IdentityName: ""}).Findings
	if len(got) != 2 || len(want) != 2 {
		t.Fatalf("got %d and %d findings, want 2", len(got), len(want))
	}
	for i, f := range got {
		if f.Check != checkWiring || f.Code != want[i].Code || f.Problem != want[i].Problem || f.Severity != Error || f.Advice == "" {
			t.Errorf("got %+v, want it like %+v", f, want[i])
		}
	}
	if !strings.Contains(got[0].Advice, "https://localhost:8443 {") || !strings.Contains(got[1].Advice, "dendrite.yaml") || strings.Contains(got[1].Problem, "\x1b") {
		t.Errorf("got %+v", got)
	}
	if all := Wiring(Options{Wiring: func() []WiringProblem { return nil }}); len(all) != 0 {
		t.Errorf("got %+v of a good configuration, want nothing", all)
	}
}
