// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	strict := os.Getenv("CI") == "true"
	if err := run(os.Args[1:], strict, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(args []string, strict bool, out io.Writer) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(out)
	root := flags.String("root", ".", "the `directory` of the module")
	file := flags.String("run", "build/test.json", "the `file` with the output of go test -json")
	check := flags.Bool("check", false, "fail unless docs/conformance.md is what the run proves")
	write := flags.Bool("write", false, "rewrite docs/conformance.md")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *check == *write {
		return errors.New("choose one of -check and -write")
	}
	in, committed, err := load(*root, *file)
	if err != nil {
		return err
	}
	in.Strict, in.Rewrite = strict, *write
	rep := evaluate(in)
	if !*write { // the threat model is written by hand
		rep.checkSecurity(in.Security, in)
	}
	document := render(rep.Rows)
	path := documentPath(*root)
	if *write {
		if err := os.WriteFile(path, []byte(document), 0o644); err != nil { //nolint:gosec // G306: a document of the repository, for everybody to read
			return err
		}
	} else if line := firstDifference(committed, document); line > 0 {
		rep.problem("%s is not what this run proves (first difference in line %d): run `make conformance`", path, line)
	}
	return conclude(rep, out)
}

// load reads everything a report is made from, and the document as committed.
func load(root, runFile string) (in input, committed string, err error) {
	requirements, err := os.ReadFile(filepath.Join(root, "docs", "requirements.tsv"))
	if err != nil {
		return in, "", err
	}
	if in.Requirements, err = parseRequirements(string(requirements)); err != nil {
		return in, "", fmt.Errorf("read docs/requirements.tsv: %w", err)
	}
	open, err := os.ReadFile(filepath.Join(root, "docs", "open.tsv"))
	if err != nil {
		return in, "", err
	}
	if in.Exceptions, err = parseExceptions(string(open), in.Requirements); err != nil {
		return in, "", fmt.Errorf("read docs/open.tsv: %w", err)
	}
	security, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(securityDocument)))
	if err != nil {
		return in, "", err
	}
	in.Security = string(security)
	module, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		return in, "", err
	}
	events, err := os.Open(runFile)
	if err != nil {
		return in, "", err
	}
	defer events.Close()
	if in.Run, err = parseResults(events, module); err != nil {
		return in, "", fmt.Errorf("read %s: %w", runFile, err)
	}
	// There is no document before the first -write; -check finds that it differs.
	document, err := os.ReadFile(documentPath(root))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return in, "", err
	}
	in.Committed = parseDocument(string(document))
	return in, string(document), nil
}

func documentPath(root string) string {
	return filepath.Join(root, "docs", "conformance.md")
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// modulePath reads the module's name out of its go.mod.
func modulePath(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	match := moduleLine.FindSubmatch(text)
	if match == nil {
		return "", fmt.Errorf("find the module line of %s", file)
	}
	return string(match[1]), nil
}

// firstDifference returns the first line in which two texts differ, counted
// from 1, or 0 if they are equal.
func firstDifference(a, b string) int {
	if a == b {
		return 0
	}
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return i + 1
		}
	}
	return min(len(left), len(right)) + 1
}

// conclude prints the report and turns its problems into an error.
func conclude(rep report, out io.Writer) error {
	for _, notice := range rep.Notices {
		fmt.Fprintln(out, "NOTICE:", notice)
	}
	for _, problem := range rep.Problems {
		fmt.Fprintln(out, "FAIL:", problem)
	}
	if n := len(rep.Problems); n > 0 {
		return fmt.Errorf("%d problems", n)
	}
	count := map[string]int{}
	for _, r := range rep.Rows {
		count[r.State]++
	}
	fmt.Fprintf(out, "conformance: %d requirements, %d proven, %d proven in part, %d open\n",
		len(rep.Rows), count[stateProven], count[statePartial], count[stateOpen])
	return nil
}
