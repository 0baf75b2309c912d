// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func main() {
	length := flag.Duration("for", 10*time.Minute, "how long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := soak(ctx, *length, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if report != nil {
		fmt.Print(report.text())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

const (
	// goodUsers and hostiles are how many of each there are at any time.
	goodUsers = 12
	hostiles  = 12
	// maxQueued is small, so that the queue is full most of the time.
	maxQueued = 200
	// grace is how much longer than it should a run may go on until it has shown
	// something, however slow the machine is.
	grace = 10 * time.Minute
)

// soak runs everything for a while, or until it has shown something, and judges
// it.
func soak(ctx context.Context, length time.Duration, logf func(string, ...any)) (*report, error) {
	bin, err := stack.Build(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "threepid-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := start(ctx, bin, dir, length)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	t := newTally()
	idle, err := s.goroutines(ctx)
	if err != nil {
		return nil, err
	}
	logf("soaking %s for %s", s.public, length)
	w := &watch{site: s, tally: t, logf: logf}
	under(ctx, length+grace, func(ctx context.Context, enough func()) {
		var wg sync.WaitGroup
		for i := range goodUsers {
			wg.Go(func() { newGood(s, t, i).run(ctx) })
		}
		for i := range uint64(hostiles) {
			wg.Go(func() { newHostile(s, t, i).run(ctx) })
		}
		wg.Go(func() { w.run(ctx, length, enough) })
		wg.Wait()
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	after, err := s.settle(ctx, idle)
	if err != nil {
		return nil, err
	}
	r := &report{length: length, tally: t, samples: w.samples, idle: idle, after: after, logs: s.caddy.Logs()}
	return r, r.verdict()
}

// under runs something until it says that it is enough, or for a while.
func under(ctx context.Context, length time.Duration, run func(ctx context.Context, enough func())) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	run(ctx, cancel)
}
