// SPDX-License-Identifier: Apache-2.0

package doctor

import "context"

// WiringProblem is a way in which the handlers are put together wrongly.
type WiringProblem struct {
	// Code is one of the exported codes of wiring.
	Code string
	// Subject is the site.
	Subject string
	// Problem says what is wrong, in one plain sentence, with verbs for Values.
	Problem string
	Values  []any
}

func (s *session) wiring(_ context.Context, r *results) { s.wired(r) }

func (s *session) wired(r *results) {
	for _, p := range s.opts.Wiring() {
		r.say(p.Subject, p.Code, sentence(p.Problem, p.Values...))
	}
}

// Wiring makes this one check, which asks nobody, and returns what is wrong with
// what to do. Of the options, those that name things for the advice are used.
func Wiring(o Options) []Finding {
	s := &session{opts: o.withDefaults()}
	r := &results{check: &check{name: checkWiring}, session: s}
	s.wired(r)
	return r.findings
}
