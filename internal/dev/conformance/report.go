// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
)

// stateProven and stateMissing complete the states of docs/open.tsv. A missing
// row is always a problem; it is rendered so that the document tells the truth
// while somebody works on it.
const (
	stateProven  = "proven"
	stateMissing = "missing"
)

// row is one line of the document.
type row struct {
	requirement
	Proofs []testID
	State  string
	Reason string
}

// report is what a run amounts to. Problems fail the check, notices do not.
type report struct {
	Rows     []row
	Problems []string
	Notices  []string
}

// input is everything a report is made from.
type input struct {
	Requirements []requirement
	Exceptions   map[string]exception
	Run          results
	// Committed lists, by requirement, the proofs that the document in the
	// repository names.
	Committed map[string][]testID
	// Security is the threat model of the repository.
	Security string
	// Strict makes a skipped test a problem.
	Strict bool
	// Rewrite says that the committed document is about to be replaced, so that
	// what it promises no longer has to be kept.
	Rewrite bool
}

// evaluate judges a run. It never looks at anything but its input.
func evaluate(in input) report {
	var rep report
	rep.judgeRun(in)
	proofs := rep.collectProofs(in)
	if !in.Rewrite {
		rep.judgeCommitted(in)
	}
	for _, req := range in.Requirements {
		rep.addRow(req, in.Exceptions[req.ID], proofs[req.ID])
	}
	return rep
}

// judgeRun reports tests that did not pass, whatever they stand for.
func (rep *report) judgeRun(in input) {
	for _, id := range in.Run.with(failed) {
		rep.problem("%s failed", id)
	}
	for _, id := range in.Run.with(unfinished) {
		rep.problem("%s was started and never finished", id)
	}
	for _, id := range in.Run.with(skipped) {
		if in.Strict {
			rep.problem("%s was skipped; under CI=true every test runs", id)
		} else {
			rep.notice("%s was skipped: what it proves is taken from the committed document", id)
		}
	}
}

// collectProofs assigns the passed tests to the requirements that their names
// begin with. A subtest is left out where a test around it proves the same row.
func (rep *report) collectProofs(in input) map[string][]testID {
	known := make(map[string]bool, len(in.Requirements))
	for _, req := range in.Requirements {
		known[req.ID] = true
	}
	proofs := map[string][]testID{}
	for _, id := range in.Run.with(passed) {
		for _, req := range provedBy(id.Name) {
			if !known[req] {
				rep.problem("%s names %s, which is not in docs/requirements.tsv", id, req)
			} else if !provenAround(id, req) {
				proofs[req] = append(proofs[req], id)
			}
		}
	}
	if !in.Strict {
		keepSkipped(in, proofs)
	}
	for req := range proofs {
		slices.SortFunc(proofs[req], compareTests)
		proofs[req] = slices.Compact(proofs[req])
	}
	return proofs
}

// provenAround reports whether a test that id runs inside stands for req too.
func provenAround(id testID, req string) bool {
	for _, name := range ancestors(id.Name) {
		if slices.Contains(provedBy(name), req) {
			return true
		}
	}
	return false
}

// keepSkipped carries over the committed proofs that this machine could not
// run, so that the document does not depend on the machine.
func keepSkipped(in input, proofs map[string][]testID) {
	for req, ids := range in.Committed {
		for _, id := range ids {
			if in.Run.skippedAround(id) {
				proofs[req] = append(proofs[req], id)
			}
		}
	}
}

// judgeCommitted reports every promise of the committed document that the run
// does not keep. The comparison of the documents would find it as well, but not
// say why.
func (rep *report) judgeCommitted(in input) {
	for _, req := range in.Requirements {
		for _, id := range in.Committed[req.ID] {
			switch outcome, ran := in.Run[id]; {
			case outcome == passed:
				if !slices.Contains(provedBy(id.Name), req.ID) {
					rep.problem("%s: the document names %s, whose name does not say so", req.ID, id)
				}
			case in.Run.skippedAround(id) && !in.Strict:
			case !ran:
				rep.problem("%s: the document names %s, which does not exist or did not run", req.ID, id)
			default:
				rep.problem("%s: the document names %s, which did not pass (%s)", req.ID, id, outcome)
			}
		}
	}
}

// addRow settles the state of one requirement.
func (rep *report) addRow(req requirement, exc exception, proofs []testID) {
	r := row{requirement: req, Proofs: proofs, State: stateProven, Reason: exc.Reason}
	switch {
	case exc.State == stateOpen:
		r.State = stateOpen
		if len(proofs) > 0 {
			rep.problem("%s is open in docs/open.tsv, but %s proves it: remove it there, or make it %s",
				req.ID, proofs[0], statePartial)
		}
	case len(proofs) == 0:
		r.State = stateMissing
		rep.problem("%s has no passing test: name one Test%s_… or put it into docs/open.tsv", req.ID, req.ID)
	case exc.State == statePartial:
		r.State = statePartial
	}
	rep.Rows = append(rep.Rows, r)
}

func (rep *report) problem(format string, args ...any) {
	rep.Problems = append(rep.Problems, fmt.Sprintf(format, args...))
}

func (rep *report) notice(format string, args ...any) {
	rep.Notices = append(rep.Notices, fmt.Sprintf(format, args...))
}
