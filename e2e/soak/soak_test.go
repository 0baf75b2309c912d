// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestSoak is a short soak of the real program: everything that `make soak`
// watches, but for the slope, which needs longer. It goes on until everything was
// seen that makes a load mixed.
func TestSoak(t *testing.T) {
	r, err := soak(t.Context(), 20*time.Second, t.Logf)
	if r != nil {
		t.Log("\n" + r.text())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestVerdict: each bound is one that a run can exceed.
func TestVerdict(t *testing.T) {
	run := func(change func(*report), value func(i int) sample) error {
		r := &report{length: 10 * time.Minute, tally: newTally(), idle: 50, after: 60}
		r.tally.good["register"] = 1
		for _, kind := range kinds {
			r.tally.statuses[kind] = 1
		}
		for i := range 600 {
			s := value(i)
			s.at = time.Duration(i) * time.Second
			r.samples = append(r.samples, s)
		}
		change(r)
		return r.verdict()
	}
	same := func(*report) {}
	flat := func(i int) sample {
		return sample{memory: 90 + 5*math.Sin(float64(i)), goroutines: 100 + i%7, disk: 20, mails: i}
	}
	if err := run(same, flat); err != nil {
		t.Errorf("a flat run is refused: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*report)
		value  func(i int) sample
		want   string
	}{
		"memory":     {same, func(i int) sample { return sample{memory: 90 + float64(i)/20, goroutines: 100} }, "memory grows by 180 MiB/hour"},
		"leap":       {func(r *report) { r.length = time.Minute }, func(i int) sample { return sample{memory: float64(i) / 4} }, "memory has grown by 100 MiB"},
		"goroutines": {same, func(i int) sample { return sample{goroutines: i} }, "goroutines have grown by 399"},
		"left over":  {func(r *report) { r.after = 300 }, flat, "300 goroutines are left, there were 50"},
		"disk":       {same, func(i int) sample { return sample{disk: float64(i), mails: 10} }, "the store takes 97 MiB"},
		"500":        {func(r *report) { r.tally.count("GET /", &answer{status: 500}) }, flat, "not deliberate: GET / 500"},
		"503":        {func(r *report) { r.tally.count("GET /", &answer{status: 503}) }, flat, "not deliberate: GET / 503"},
		"failed":     {func(r *report) { r.tally.note(r.tally.failed, "reset: 401") }, flat, "a good user failed: reset: 401"},
		"nobody":     {func(r *report) { clear(r.tally.good) }, flat, "no good user"},
		"not mixed":  {func(r *report) { delete(r.tally.statuses, "429 M_LIMIT_EXCEEDED") }, flat, "nobody was answered 429"},
		"no mail":    {same, func(i int) sample { s := flat(i); s.mails = 7; return s }, "no mail went out"},
		"panic":      {func(r *report) { r.logs = "panic: x" }, flat, "panic"},
		"too short":  {func(r *report) { r.samples = r.samples[:2] }, flat, "too few samples"},
	} {
		if err := run(tt.change, tt.value); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
