// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

// TestF15_NoAnswerBeforeItsStep: over real HTTP, granted or refused, no answer comes
// before a step is over, which either would do by far if it were not held. How much
// later it comes is a matter of the machine, and is judged by the program.
func TestF15_NoAnswerBeforeItsStep(t *testing.T) {
	const pairs, pace = 16, 2 * time.Second
	r := newRig(t, pace)
	granted, refused, err := twosample.Interleave(pairs, pairs,
		func() (time.Duration, error) { return r.request(nobody) },
		func() (time.Duration, error) { return r.request(owned) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range pairs {
		if granted[i] < pace || refused[i] < pace {
			t.Errorf("pair %d: answered after %s and %s, want no less than %s", i, granted[i], refused[i], pace)
		}
	}
}

// TestJudgement: what is found decides, and one try without a finding is enough.
func TestJudgement(t *testing.T) {
	same := twosample.Result{U: 0.5, KS: 0.5, Effect: 0.5}
	differs := twosample.Result{U: 0.001, KS: 0.5, Effect: 0.52}
	shape := twosample.Result{U: 0.5, KS: 0.001, Effect: 0.5}
	tells := twosample.Result{U: 0.5, KS: 0.5, Effect: 0.44}
	for name, tt := range map[string]struct {
		results []twosample.Result // the first finds the step
		want    string
		asked   int
	}{
		"the same":       {[]twosample.Result{differs, same}, "", 2},
		"the third time": {[]twosample.Result{same, differs, shape, same}, "", 4},
		"three times":    {[]twosample.Result{same, differs, shape, differs, same}, "told apart", 4},
		"too much":       {[]twosample.Result{same, tells, same}, "effect 0.440", 2},
	} {
		asked := 0
		err := hidden(bound, 1000, func(int) (twosample.Result, error) { asked++; return tt.results[asked-1], nil }, t.Logf)
		if asked != tt.asked || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v after %d tries, want %q after %d", name, err, asked, tt.want, tt.asked)
		}
	}
	broken := errors.New("broken")
	if err := hidden(bound, 1000, func(int) (twosample.Result, error) { return same, broken }, t.Logf); !errors.Is(err, broken) {
		t.Errorf("got %v, want what was broken", err)
	}
}
