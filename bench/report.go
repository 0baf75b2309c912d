// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one figure, with the limit that it must keep, if there is one.
type row struct {
	name, value, limit string
	kept               bool
}

type report struct{ rows []row }

// note adds a figure without a limit.
func (r *report) note(name, value string) { r.rows = append(r.rows, row{name, value, "", true}) }

// atLeast and atMost add a figure with one.
func (r *report) atLeast(name string, value, limit float64, format string) {
	r.rows = append(r.rows, row{name, fmt.Sprintf(format, value), "at least " + fmt.Sprintf(format, limit), value >= limit})
}

func (r *report) atMost(name string, value, limit float64, format string) {
	r.rows = append(r.rows, row{name, fmt.Sprintf(format, value), "at most " + fmt.Sprintf(format, limit), value <= limit})
}

func (r *report) table() string {
	var b strings.Builder
	b.WriteString("| figure | measured | limit | |\n|---|---|---|---|\n")
	for _, row := range r.rows {
		mark := ""
		switch {
		case row.limit == "":
		case row.kept:
			mark = "kept"
		default:
			mark = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.name, row.value, row.limit, mark)
	}
	return b.String()
}

func (r *report) write(path string) error {
	text := "# Results of `make bench`\n\n" +
		fmt.Sprintf("Measured %s on %s/%s, %d cores (%s), %s.\n",
			time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runtime.Version()) +
		"The load generator, the upstream and both Caddys share these cores; figures are medians.\n\n" + r.table()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func cpuModel() string {
	out, err := exec.Command("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2").Output()
	if name := strings.TrimSpace(string(out)); err == nil && name != "" {
		return name
	}
	return "unknown model"
}

func (r *report) verdict() error {
	for _, row := range r.rows {
		if !row.kept {
			return errors.New("a limit was missed: " + row.name)
		}
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
