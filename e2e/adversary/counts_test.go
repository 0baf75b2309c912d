// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// counts is what was tried, over all runs.
type counts struct {
	sequences, steps int
	calls            map[[2]string]int // by endpoint and naming
	around           int
	paid             map[string]int // changes that were paid for
	ruined           bool           // a run was: what follows shortens it
}

func newCounts() *counts {
	return &counts{calls: map[[2]string]int{}, paid: map[string]int{}}
}

func (c *counts) call(endpoint, naming string, around bool) {
	c.calls[[2]string{endpoint, naming}]++
	if around {
		c.around++
	}
}

// String is the report.
func (c *counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sequences, %.1f steps each; %d calls past us\n", c.sequences, float64(c.steps)/float64(max(c.sequences, 1)), c.around)
	for _, what := range slices.Sorted(maps.Keys(c.paid)) {
		fmt.Fprintf(&b, "paid for: %s: %d\n", what, c.paid[what])
	}
	columns := slices.Compact(slices.Clone(namings))
	fmt.Fprintf(&b, "%-16s", "")
	for _, naming := range columns {
		fmt.Fprintf(&b, "%11s", naming)
	}
	for _, e := range endpoints {
		fmt.Fprintf(&b, "\n%-16s", e.name)
		for _, naming := range columns {
			fmt.Fprintf(&b, "%11d", c.calls[[2]string{e.name, naming}])
		}
	}
	return b.String()
}

// missing are the cells in which nothing was tried, as far as there were enough
// sequences for all of them.
func (c *counts) missing() (cells []string) {
	for _, e := range endpoints {
		for _, naming := range slices.Compact(slices.Clone(namings)) {
			rare := naming == "older" && c.sequences < 2000
			// /account/3pid has no authentication, and so no names of its own.
			none := e.name == "3pid" && (naming == "here")
			if c.calls[[2]string{e.name, naming}] == 0 && !rare && !none {
				cells = append(cells, e.name+" × "+naming)
			}
		}
	}
	return cells
}
