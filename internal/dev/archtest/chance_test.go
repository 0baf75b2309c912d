// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"slices"
	"testing"
)

// careless are the packages that may use chance that others can foresee: they
// choose ports, orders and samples for tests, and load for a soak.
var careless = []string{"internal/lab/freeport", "internal/dev/mutants", "internal/lab/twosample", "e2e/soak"}

// Sydent 1.0.3, and others since: tokens from a generator that is not meant for
// secrets. Nothing that is in the program can reach one by itself.
func TestAdvisory02_ChanceIsSecret(t *testing.T) {
	g, err := loadGraph(repository, tags)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range g.own() {
		for _, path := range g.pkgs[g.absolute(dir)].Imports {
			if (path == "math/rand" || path == "math/rand/v2") && !slices.Contains(careless, dir) {
				t.Errorf("%s imports %s", dir, path)
			}
		}
		if dir == "cmd/caddy" {
			for _, other := range careless {
				if chain := g.chain(g.absolute(dir), func(path string) bool { return path == g.absolute(other) }); chain != nil {
					t.Errorf("%q: a package for tests is in the program", chain)
				}
			}
		}
	}
}
