// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// awaitHandover waits until the configuration before has left.
func (s *site) awaitHandover() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := stack.AwaitHandover(ctx, s.public, s.identity, s.admin); err != nil {
		s.t.Fatal(err)
	}
}

// TestHandoverIsOver: after each of many loads one server listens on each port, and
// no request of any kind is lost.
func TestHandoverIsOver(t *testing.T) {
	w := newWhole(t, "off")
	for i := range 8 {
		w.mustLoad(w.loaded)
		for _, port := range []int{w.public, w.identity, w.admin} {
			if got := stack.Listening(port); len(got) != 1 && stack.Listening(w.public) != nil {
				t.Fatalf("load %d: %q listen on port %d, want one", i, got, port)
			}
		}
		w.ask("r0", "register", fmt.Sprint("secret", i), fmt.Sprintf("user%d@example.test", i))
	}
}
