// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "xbuild:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("xbuild", flag.ContinueOnError)
	flags.SetOutput(log)
	file := flags.String("config", "xcaddy.json", "the `file` that says what to build")
	output := flags.String("o", "", "the `file` to write the program to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output == "" {
		return errors.New("say where to write the program: -o file")
	}
	c, err := readConfig(*file)
	if err != nil {
		return err
	}
	return build(ctx, c, *output, log)
}
