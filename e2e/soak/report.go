// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The bounds.
const (
	// maxSlope is the growth of memory that is put down to chance, MiB per hour,
	// over a run of at least judgedFrom: the tables of the store are filled and
	// written away, so that memory goes up and down by 30 MiB every two minutes.
	maxSlope   = 120
	judgedFrom = 10 * time.Minute
	// maxGrowth bounds the growth over the measured part of any run, in MiB: in a
	// short one that is half a tooth of this saw, and perhaps a compaction.
	maxGrowth = 80
	// idleSlack is how many more goroutines there may be when all is over: the
	// proxy and the homeserver keep up to 32 connections to each other, either way,
	// for two minutes, with two goroutines at most for each.
	idleSlack = 150
	// The store may take diskBase and diskPerMail, in MiB: what has expired goes
	// with the compaction, which is not at once.
	diskBase    = 96
	diskPerMail = 4.0 / 1024
)

type report struct {
	length      time.Duration
	tally       *tally
	samples     []sample
	idle, after int // goroutines
	logs        string
}

// measured are the samples after the warm-up, a third of the run.
func (r *report) measured() []sample { return r.samples[len(r.samples)/3:] }

// slope is that of the least squares, per hour.
func slope(samples []sample, value func(sample) float64) float64 {
	n := float64(len(samples))
	var sx, sy, sxx, sxy float64
	for _, s := range samples {
		x, y := s.at.Hours(), value(s)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; d > 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

func memoryOf(s sample) float64    { return s.memory }
func goroutineOf(s sample) float64 { return float64(s.goroutines) }
func diskOf(s sample) float64      { return s.disk }

// grown is the slope over the measured time.
func (r *report) grown(value func(sample) float64) float64 {
	m := r.measured()
	return slope(m, value) * (m[len(m)-1].at - m[0].at).Hours()
}

func (r *report) text() string {
	var b strings.Builder
	if len(r.samples) > 3 {
		m := r.measured()
		first, last := m[0], m[len(m)-1]
		fmt.Fprintf(&b, "memory: %.1f MiB, then %.1f MiB; slope %+.1f MiB/hour\n", first.memory, last.memory, slope(m, memoryOf))
		fmt.Fprintf(&b, "goroutines: %d idle, %d to %d under load (slope %+.0f/hour), %d after it\n", r.idle,
			slices.MinFunc(m, byGoroutines).goroutines, slices.MaxFunc(m, byGoroutines).goroutines, slope(m, goroutineOf), r.after)
		fmt.Fprintf(&b, "store: %.1f MiB, then %.1f MiB (slope %+.0f MiB/hour), after %d mails\n", first.disk, last.disk, slope(m, diskOf), last.mails)
	}
	t := r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, part := range []struct {
		name string
		of   map[string]int
	}{{"answers", t.statuses}, {"good users", t.good}, {"good users who failed", t.failed}} {
		fmt.Fprintf(&b, "%s:\n", part.name)
		for _, key := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, "  %7d  %s\n", part.of[key], key)
		}
	}
	return b.String()
}

// kinds are answers without which the load is not mixed.
var kinds = []string{"200", "429 M_LIMIT_EXCEEDED", "413 M_TOO_LARGE", "404 M_UNRECOGNIZED", "400 M_NOT_JSON"}

// missing says what a run has not shown yet. How soon it does depends on the
// machine; that it does not.
func (r *report) missing() (errs []error) {
	if len(r.samples) < 4 {
		return []error{errors.New("there are too few samples")}
	}
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	for _, kind := range kinds {
		if r.tally.statuses[kind] == 0 {
			errs = append(errs, fmt.Errorf("nobody was answered %s: this load is not mixed", kind))
		}
	}
	if r.tally.good["register"] == 0 {
		errs = append(errs, errors.New("no good user has come to register"))
	}
	if m := r.measured(); m[len(m)-1].mails == m[0].mails {
		errs = append(errs, errors.New("no mail went out after the warm-up"))
	}
	return errs
}

func byGoroutines(a, b sample) int { return a.goroutines - b.goroutines }

// verdict says all that is wrong.
func (r *report) verdict() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(r.samples) < 4 {
		return errors.New("there are too few samples")
	}
	if got := slope(r.measured(), memoryOf); r.length >= judgedFrom && got > maxSlope {
		bad("memory grows by %.0f MiB/hour, the bound is %d", got, maxSlope)
	}
	if got := r.grown(memoryOf); got > maxGrowth {
		bad("memory has grown by %.0f MiB, the bound is %d", got, maxGrowth)
	}
	if r.after > r.idle+idleSlack {
		bad("%d goroutines are left, there were %d", r.after, r.idle)
	}
	if got := r.grown(goroutineOf); got > 100 {
		bad("goroutines have grown by %.0f", got)
	}
	for _, s := range r.samples {
		if bound := diskBase + diskPerMail*float64(s.mails); s.disk > bound {
			bad("the store takes %.0f MiB after %s, the bound is %.0f", s.disk, s.at.Round(time.Second), bound)
			break
		}
	}
	errs = append(errs, r.missing()...)
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.tally.wrong)) {
		bad("a 5xx that is not deliberate: %s: %s", key, r.tally.wrong[key])
	}
	for _, key := range slices.Sorted(maps.Keys(r.tally.failed)) {
		bad("a good user failed: %s", key)
	}
	if strings.Contains(r.logs, "panic") {
		bad("the log tells of a panic")
	}
	return errors.Join(errs...)
}
