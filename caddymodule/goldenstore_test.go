// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

// goldenBegin is when the golden store was begun, and goldenEnd when its writer was killed.
var goldenBegin = time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)

func TestGoldenStore(t *testing.T) {
	if name := os.Getenv(childGolden); name != "" {
		goldenLife(t, name, map[string]func(*golden){
			"decoy one":   func(g *golden) { g.eras()[0].writeDecoy() },
			"write one":   func(g *golden) { g.eras()[0].write() },
			"decoy two":   func(g *golden) { g.eras()[1].writeDecoy() },
			"write two":   func(g *golden) { g.eras()[1].write() },
			"decoy three": func(g *golden) { g.eras()[2].writeDecoy() },
			"write three": func(g *golden) { g.eras()[2].write() },
			"aside":       func(g *golden) { g.setAside() },
			"back":        func(g *golden) { g.putBack() },
			"kinds": func(g *golden) {
				counts := g.sealers()
				for _, kind := range slices.Sorted(maps.Keys(counts)) {
					fmt.Printf("%q: %v\n", kind, counts[kind])
				}
			},
		})
	}
	dir := t.TempDir()
	for i, name := range []string{"decoy one", "write one", "aside", "decoy two", "write two", "aside", "decoy three", "write three", "back"} {
		said, ok := lead(t, name, dir, goldenBegin.Add(time.Duration(i/3)*20*time.Second))
		if !ok {
			t.Fatalf("said:\n%s", said)
		}
	}
	archive := "/tmp/gold-archive.tar.gz"
	packGolden(t, dir, archive)
	said, ok := lead(t, "kinds", unpackGolden(t, archive), goldenBegin.Add(time.Minute))
	t.Log(said, ok)
}
