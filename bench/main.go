// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func main() {
	sessions := flag.Int("sessions", 100_000, "open sessions for the memory and disk figures")
	pairs := flag.Int("pairs", 3, "pairs of the pass-through measurement, for each time that the servers are started")
	only := flag.String("only", "", "measure one part and write no results: passthrough, tokens, limits or deliveries")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sessions, *pairs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sessions, pairs int, only string) error {
	root, err := stack.Root()
	if err != nil {
		return err
	}
	bin, err := stack.Build(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "threepid-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var r report
	for _, part := range []struct {
		name string
		run  func(context.Context, string, string, *report) error
	}{
		{"passthrough", func(ctx context.Context, bin, dir string, r *report) error {
			return passThrough(ctx, bin, dir, pairs, r)
		}},
		{"tokens", func(ctx context.Context, bin, dir string, r *report) error {
			return requestTokens(ctx, bin, dir, sessions, r)
		}},
		{"limits", limitChecks},
		{"deliveries", deliveries},
	} {
		if only != "" && part.name != only {
			continue
		}
		if err := part.run(ctx, bin, dir, &r); err != nil {
			return err
		}
	}
	fmt.Print(r.table())
	if only != "" {
		return r.verdict()
	}
	if err := r.write(filepath.Join(root, "bench", "RESULTS.md")); err != nil {
		return err
	}
	return r.verdict()
}
