// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(out)
	number := flags.Int("n", 150, "how many `faults` to plant into each package")
	seed := flags.Uint64("seed", today(), "the `seed` by which they are drawn")
	tags := flags.String("tags", "", "build `tags`")
	workers := flags.Int("p", runtime.NumCPU(), "how many `runs` at the same time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("name the packages, as ./handlers, or with those whose tests go through them, as ./handlers/bindings,./handlers")
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(out, "Seed %d, at most %d faults per package.\n\n| package | planted | noticed | rate |\n|---|---|---|---|\n", *seed, *number)
	var left []mutant
	for _, arg := range flags.Args() {
		all := strings.Split(arg, ",")
		pkg := all[0]
		t := &trial{dir: dir, pkg: pkg, beside: all[1:], tags: *tags}
		got, err := t.sample(ctx, *number, *seed, *workers)
		if err != nil {
			return fmt.Errorf("%s: %w", pkg, err)
		}
		fmt.Fprintf(out, "| %s | %d | %d | %.1f %% |\n", filepath.ToSlash(filepath.Clean(pkg)), got.planted, got.planted-len(got.left), 100*(1-float64(len(got.left))/float64(max(got.planted, 1))))
		left = append(left, got.left...)
	}
	fmt.Fprint(out, "\nNot noticed:\n\n")
	for _, m := range left {
		fmt.Fprintf(out, "- `%s:%d`: `%s` for `%s`\n", m.file, m.line, m.is, m.was)
	}
	return nil
}

// today is a seed that changes once a day.
func today() uint64 {
	day, _ := strconv.ParseUint(time.Now().UTC().Format("20060102"), 10, 64) // digits only
	return day
}

// result is what a package's tests have shown.
type result struct {
	planted int
	left    []mutant
}

// sample plants so many faults of a package, drawn by the seed.
func (t *trial) sample(ctx context.Context, number int, seed uint64, workers int) (got result, err error) {
	all, err := mutantsOf(t.pkg, t.tags)
	if err == nil {
		err = t.green(ctx)
	}
	if err != nil {
		return got, err
	}
	drawn := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // G404: a sample that can be drawn again
	drawn.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	verdicts, err := t.verdicts(ctx, all, number, workers)
	// Of those that were tried side by side the first count, however many there were.
	for i, v := range verdicts {
		if v == unfit || got.planted == number {
			continue
		}
		if got.planted++; v == survived {
			got.left = append(got.left, all[i])
		}
	}
	return got, err
}

// verdicts are those about the first mutants: as many as it takes for the number of
// such that compile.
func (t *trial) verdicts(ctx context.Context, all []mutant, number, workers int) (verdicts []verdict, err error) {
	var (
		mu      sync.Mutex
		next    int
		planted int
		wg      sync.WaitGroup
	)
	verdicts = make([]verdict, len(all))
	for i := range verdicts {
		verdicts[i] = unfit
	}
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= len(all) && planted < number && err == nil
	}
	for range workers {
		wg.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				v, failed := t.run(ctx, strconv.Itoa(i), all[i])
				mu.Lock()
				if err = errors.Join(err, failed); failed == nil {
					verdicts[i] = v
				}
				if verdicts[i] != unfit {
					planted++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return verdicts, err
}
