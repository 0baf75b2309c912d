// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

var (
	idPattern = regexp.MustCompile(`^[RF][1-9][0-9]*$`)
	// The testing package numbers subtests of equal names: "R1#01".
	repeatSuffix = regexp.MustCompile(`#[0-9]+$`)
)

// provedBy returns the requirement ids that the last element of a test's name
// begins with. Elements before it are tests of their own and speak for
// themselves.
func provedBy(test string) []string {
	i := strings.LastIndexByte(test, '/')
	name := test[i+1:]
	if i < 0 {
		var found bool
		if name, found = cutTestPrefix(name); !found {
			return nil
		}
	}
	name = repeatSuffix.ReplaceAllString(name, "")
	var ids []string
	for segment := range strings.SplitSeq(name, "_") {
		if !idPattern.MatchString(segment) {
			break
		}
		ids = append(ids, segment)
	}
	return ids
}

// cutTestPrefix removes what `go test` requires of a top-level name. The seeds
// of a fuzz test run as ordinary tests and prove as much as one.
func cutTestPrefix(name string) (string, bool) {
	for _, prefix := range []string{"Test", "Fuzz"} {
		if rest, found := strings.CutPrefix(name, prefix); found {
			return rest, true
		}
	}
	return name, false
}

// ancestors returns the names of the tests that a subtest runs inside, from the
// outermost inwards. A slash in a subtest's own name is counted as one level
// too many, which does no harm: no test of that name exists.
func ancestors(test string) []string {
	var names []string
	for i := range len(test) {
		if test[i] == '/' {
			names = append(names, test[:i])
		}
	}
	return names
}
