// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	program  = "./cmd/caddy"
	document = "docs/licenses.md"
	tags     = "nobadger,nomysql,nopgx"
)

// plain is what a Caddy without this project is made from.
var plain = []string{"github.com/caddyserver/caddy/v2/cmd", "github.com/caddyserver/caddy/v2/modules/standard"}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("licenses", flag.ContinueOnError)
	flags.SetOutput(out)
	root := flags.String("root", ".", "the `directory` of the module")
	check := flags.Bool("check", false, "fail unless every licence is allowed and the document is up to date")
	write := flags.Bool("write", false, "rewrite the document")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *check == *write {
		return errors.New("choose one of -check and -write")
	}
	linked, err := list(*root, program)
	if err != nil {
		return err
	}
	theirs, err := list(*root, plain...)
	if err != nil {
		return err
	}
	for _, m := range linked {
		if err := m.find(); err != nil {
			return err
		}
	}
	text := render(without(linked, theirs))
	path := filepath.Join(*root, filepath.FromSlash(document))
	if *write {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // G306: a document of the repository, for everybody to read
			return err
		}
	} else if committed, err := os.ReadFile(path); err != nil || string(committed) != text {
		return errors.Join(fmt.Errorf("%s is out of date: run `make licenses`", document), err)
	}
	if problems := judge(linked); len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	fmt.Fprintf(out, "licenses: %d modules are linked, all under licences that may be\n", len(linked))
	return nil
}
