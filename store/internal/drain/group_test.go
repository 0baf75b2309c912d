// SPDX-License-Identifier: Apache-2.0

package drain_test

import (
	"testing"
	"testing/synctest"

	"github.com/caddy-threepid/caddy-threepid/store/internal/drain"
)

func TestClosedGateRefuses(t *testing.T) {
	var g drain.Group
	if !g.Enter() {
		t.Fatal("open group refused an operation")
	}
	g.Leave()
	g.Close()
	g.Close()
	if g.Enter() {
		t.Fatal("closed group admitted an operation")
	}
}

func TestCloseWaitsForRunningOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g drain.Group
		if !g.Enter() {
			t.Fatal("open group refused an operation")
		}
		closed := false
		go func() {
			g.Close()
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Fatal("Close returned while an operation was running")
		}
		if g.Enter() {
			t.Fatal("closing group admitted an operation")
		}
		g.Leave()
		synctest.Wait()
		if !closed {
			t.Fatal("Close did not return after the last operation left")
		}
	})
}
