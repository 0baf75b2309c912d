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

	"github.com/caddy-threepid/caddy-threepid/internal/stack"
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
)

// soak runs everything for a while and judges it.
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
	under(ctx, length, func(ctx context.Context) {
		var wg sync.WaitGroup
		for i := range goodUsers {
			wg.Go(func() { newGood(s, t, i).run(ctx) })
		}
		for i := range uint64(hostiles) {
			wg.Go(func() { newHostile(s, t, i).run(ctx) })
		}
		wg.Go(func() { w.run(ctx) })
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

// under runs something for a while.
func under(ctx context.Context, length time.Duration, run func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	run(ctx)
}
