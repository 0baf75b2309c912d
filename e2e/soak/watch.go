// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// sample is what Caddy takes at one moment.
type sample struct {
	at         time.Duration
	memory     float64 // MiB
	goroutines int
	disk       float64 // MiB, of the store
	mails      int
}

// watch takes samples.
type watch struct {
	site    *site
	tally   *tally
	logf    func(string, ...any)
	samples []sample
}

const (
	sampleEvery = time.Second
	// forgetEvery is how often the double is made to forget what it was asked.
	forgetEvery = 5 * time.Second
)

// run takes samples until the least time has passed and the run can be judged.
func (w *watch) run(ctx context.Context, least time.Duration, enough func()) {
	begin, forgot := time.Now(), time.Now()
	ticks := time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		s := sample{at: time.Since(begin), mails: w.site.mail.count()}
		var errs [3]error
		s.memory, errs[0] = stack.ResidentMiB(w.site.caddy.PID())
		s.goroutines, errs[1] = w.site.goroutines(ctx)
		disk, err := stack.Allocated(w.site.store)
		s.disk, errs[2] = float64(disk)/(1<<20), err
		if errs[0] != nil || errs[1] != nil || errs[2] != nil {
			continue // a file of the store has just gone, or the run has ended
		}
		w.samples = append(w.samples, s)
		if r := (&report{tally: w.tally, samples: w.samples}); s.at >= least && r.missing() == nil {
			enough()
			return
		}
		if time.Since(forgot) >= forgetEvery {
			forgot = time.Now()
			w.site.hs.ResetRecordings()
		}
		if len(w.samples)%30 == 0 {
			w.logf("%5s  %6.1f MiB  %4d goroutines  store %6.1f MiB  %7d answers  %6d mails", s.at.Round(time.Second), s.memory, s.goroutines, s.disk, w.tally.total(), s.mails)
		}
	}
}
