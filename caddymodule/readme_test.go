// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command finds a command of ours by its path.
func commandAt(path string) *cobra.Command {
	cmd, _, err := threepid().Find(strings.Fields(path))
	if err != nil {
		return nil
	}
	return cmd
}

var (
	commandRow  = regexp.MustCompile("(?m)^\\| `caddy threepid ([a-z -]*[a-z])[^`]*` \\|")
	writtenFlag = regexp.MustCompile(`--[a-z-]+`)
)

// TestReadmeNamesEveryCommand: its table has each of them once, with flags that
// there are, and so has every other line of the documents that calls one.
func TestReadmeNamesEveryCommand(t *testing.T) {
	readme := string(read(t, filepath.Join("..", "README.md")))
	var rows []string
	for _, row := range commandRow.FindAllStringSubmatch(readme, -1) {
		rows = append(rows, strings.TrimSpace(strings.Split(row[1], " --")[0]))
	}
	want := leaves()
	slices.Sort(rows)
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("the table of the README has %q, want %q", rows, want)
	}
	docs, err := filepath.Glob(filepath.Join("..", "docs", "*.md"))
	adrs, err2 := filepath.Glob(filepath.Join("..", "docs", "adr", "*.md"))
	must(t, err, err2)
	for _, file := range append(append(docs, adrs...), filepath.Join("..", "README.md"), filepath.Join("..", "Caddyfile.example"), filepath.Join("..", "SECURITY.md")) {
		raw, err := os.ReadFile(file)
		must(t, err)
		for _, call := range regexp.MustCompile("caddy threepid [^`\n]*").FindAllString(string(raw), -1) {
			checkCall(t, filepath.Base(file), call)
		}
	}
}

// checkCall wants a call in a document to be of a command that has its flags.
func checkCall(t *testing.T, file, call string) {
	t.Helper()
	cmd := commandAt(strings.TrimPrefix(call, "caddy threepid "))
	if file == "0032-command-line.md" && (strings.Contains(call, "bakcup") || strings.Contains(call, "$")) {
		return // which shows what is none
	}
	if cmd == nil || cmd.Name() == "threepid" {
		t.Errorf("%s: %q calls no command", file, call)
		return
	}
	for _, flag := range writtenFlag.FindAllString(call, -1) {
		if cmd.Flags().Lookup(strings.TrimPrefix(flag, "--")) == nil {
			t.Errorf("%s: %q has a flag %s that there is not", file, call, flag)
		}
	}
}
