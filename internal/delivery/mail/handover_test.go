// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"sync"
	"testing"
	"testing/synctest"
)

// TestSlowOnesTakeTurnsToWait: where there is room for one slow mail besides, the
// next slow one steps aside as soon as that room is free, and keeps nobody waiting
// for longer.
func TestSlowOnesTakeTurnsToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, waiting := make(chan struct{}, 1), make(chan struct{}, 1)
		admit := func() *place {
			slots <- struct{}{}
			return &place{leave: sync.OnceFunc(func() { <-slots }), waiting: waiting, done: make(chan struct{})}
		}
		first := admit()
		first.step()
		second := admit()
		go second.step()
		synctest.Wait()
		if len(slots) != 1 {
			t.Fatal("the second has left, without room to wait in")
		}
		first.end()
		synctest.Wait()
		if len(slots) != 0 || len(waiting) != 1 {
			t.Fatalf("%d places are taken and %d wait beside, want only the second, beside", len(slots), len(waiting))
		}
		third := admit()
		go third.step() // there is no room, until it has ended itself
		synctest.Wait()
		third.end()
		second.end()
		synctest.Wait()
		if len(slots) != 0 || len(waiting) != 0 {
			t.Errorf("%d places are taken and %d wait beside when all have ended", len(slots), len(waiting))
		}
	})
}
