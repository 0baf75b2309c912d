// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

const (
	// clients is how many ask at the same time; they mostly wait.
	clients = 128
	// shortPace is the step before the double. A shorter one is harder to keep.
	shortPace = 100 * time.Millisecond
	// alpha is how often a machine without any difference would fail one try;
	// three of them fail once in a million runs.
	alpha = 0.01
	tries = 3
	// bound is how much may be learnt from one answer at all, in each try.
	bound = 0.05
)

func main() {
	pairs := flag.Int("pairs", 2000, "pairs of requests to compare in one try")
	synapse := flag.Bool("synapse", false, "compare in front of a real Synapse 1.3.1")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	measure := beforeDouble
	if *synapse {
		measure = beforeSynapse
	}
	if err := measure(ctx, *pairs); err != nil {
		fmt.Fprintln(os.Stderr, "decoys:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// beforeDouble measures without steps, so that it is known that a difference would
// be seen, and with them.
func beforeDouble(_ context.Context, pairs int) (err error) {
	dir, err := os.MkdirTemp("", "threepid-decoys-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, c := range []struct {
		name string
		pace time.Duration
		ask  func(r *rig) error
	}{
		{"at once", -1, func(r *rig) error { return control(r, pairs) }},
		{"in steps", shortPace, func(r *rig) error { return hidden(bound, pairs, r.compare, say) }},
	} {
		say("%s", c.name)
		r, err := start(dir+"/"+c.name, c.pace)
		if err != nil {
			return err
		}
		if err := errors.Join(c.ask(r), r.stop()); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// control fails if the callback, which nothing hides, is not seen.
func control(r *rig, pairs int) error {
	got, err := r.compare(pairs)
	if err != nil {
		return err
	}
	say("  granted and refused: %s", got)
	if got.U > alpha || got.Effect < 0.5+bound {
		return errors.New("the comparison does not see the time of a callback; it would not see anything else")
	}
	return nil
}

// hidden compares until one try finds nothing, and gives up after three; before
// that, requests that do not count find the step. No try may tell more than a
// bound.
func hidden(bound float64, pairs int, compare func(n int) (twosample.Result, error), logf func(string, ...any)) error {
	got, err := compare(min(clients, pairs))
	if err != nil {
		return err
	}
	logf("  until the step is found: %s", got)
	for try := range tries {
		if got, err = compare(pairs); err != nil {
			return err
		}
		logf("  try %d: granted and refused: %s", try+1, got)
		if math.Abs(got.Effect-0.5) > bound {
			return fmt.Errorf("one answer tells too much: effect %.3f", got.Effect)
		}
		if got.U > alpha && got.KS > alpha {
			return nil
		}
	}
	return errors.New("granted and refused requests can be told apart by their time")
}

// compare sends pairs of requests, each in random order, from several clients.
func (r *rig) compare(n int) (twosample.Result, error) {
	granted, refused, err := twosample.Interleave(n, clients,
		func() (time.Duration, error) { return r.request(nobody) },
		func() (time.Duration, error) { return r.request(owned) })
	if err != nil {
		return twosample.Result{}, err
	}
	return twosample.Compare(granted, refused), nil
}
