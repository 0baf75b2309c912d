// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// check is one thing to look at.
type check struct {
	name, subject string
	// good is what is said if nothing is found.
	good string
	// run reports what it finds. False: what comes after it in its group makes
	// no sense any more.
	run func(context.Context, *results) bool
}

// results collects what one check finds. It can be closed while the check is
// still running: what is found after that is dropped.
type results struct {
	check   *check
	session *session

	mu       sync.Mutex
	findings []Finding
	closed   bool
}

// session is one run of the doctor.
type session struct {
	opts Options
	web  *web

	// native: the homeserver seems to verify addresses itself. Only the group
	// of checks that go through it writes and reads this.
	native bool
}

// Run makes all checks, and returns within Options.Timeout: a check that does
// not end, or panics, is a finding like any other. One that ignores its context
// goes on in the background, and is not waited for.
func Run(ctx context.Context, o Options) Report {
	start := time.Now()
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	s := &session{opts: o, web: newWeb(o)}
	var all []*results
	var wg sync.WaitGroup
	for _, group := range s.plan() {
		list := make([]*results, len(group))
		for i := range group {
			list[i] = &results{check: &group[i], session: s}
		}
		all = append(all, list...)
		wg.Go(func() { s.runGroup(ctx, list) })
	}
	wg.Wait()
	r := Report{Took: time.Since(start)}
	for _, res := range append(all, s.clock()) {
		r.Findings = append(r.Findings, res.findings...)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return slices.Index(checkOrder, a.Check) - slices.Index(checkOrder, b.Check)
	})
	return r
}

// runGroup runs checks that build on each other.
func (s *session) runGroup(ctx context.Context, list []*results) {
	for i, res := range list {
		if s.runOne(ctx, res) {
			continue
		}
		for _, left := range list[i+1:] {
			left.report(codeSkipped, "This was not checked, because the check %q has to succeed first.", res.check.name)
		}
		return
	}
}

// runOne runs a check until it ends or its time is over.
func (s *session) runOne(ctx context.Context, res *results) bool {
	limit := s.opts.CheckTimeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan bool, 1)
	go func() {
		ok := false
		defer func() {
			if p := recover(); p != nil {
				// What it panicked with may hold anything.
				res.report(codeFailed, "The check has failed by a fault of its own.")
			}
			done <- ok
		}()
		inner, cancel := context.WithTimeout(ctx, s.opts.stepTimeout)
		defer cancel()
		ok = res.check.run(inner, res)
	}()
	defer res.close()
	select {
	case ok := <-done:
		return ok
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		res.report(codeTimedOut, "The check was interrupted.")
	} else {
		res.report(codeTimedOut, "The check did not end within its time (%s at most).", limit)
	}
	return false
}

// report notes a finding. The values may be foreign text: they are cleaned.
func (r *results) report(code, format string, values ...any) {
	r.say(r.check.subject, code, sentence(format, values...))
}

// reportFault notes a connection that did not come about.
func (r *results) reportFault(host string, f fault) {
	r.say(r.check.subject, f.code, f.explain(host))
}

// say notes a problem in clean words, on a subject that may be another than
// the check's.
func (r *results) say(subject, code, problem string) {
	f := Finding{
		Check: r.check.name, Subject: cleanSubject(subject), Severity: severityOf(code), Code: code, Problem: problem,
	}
	f.Advice = r.session.advice(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.findings = append(r.findings, f)
	}
}

// close ends the collection. A check that has found nothing says so.
func (r *results) close() {
	r.mu.Lock()
	empty := len(r.findings) == 0
	r.mu.Unlock()
	if empty && r.check.good != "" {
		r.report(codeOK, "%s", r.check.good)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
