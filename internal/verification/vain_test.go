// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// conflicted is a store whose n-th update meets a conflict: what somebody else has
// written decides, and not what the first run of it has seen.
type conflicted struct {
	store.Store
	left      int
	seen      store.Store // by the first run; nil if there is none
	committed store.Store // what there is then
}

func (c *conflicted) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if c.left--; c.left == 0 {
		if c.seen != nil {
			_ = c.seen.Update(ctx, p, func(txn store.Txn) error {
				_ = fn(txn) // the second run decides
				return errors.New("conflict")
			})
		}
		c.Store = c.committed
	}
	return c.Store.Update(ctx, p, fn)
}

// TestNothingIsLeftOfARunInVain: a transaction that is run again, over a store in which
// nothing is any more, or was not yet, ends as if it had been run once.
func TestNothingIsLeftOfARunInVain(t *testing.T) {
	t.Parallel()
	for _, d := range deeds {
		for _, gone := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/gone=%v", d.name, gone), func(t *testing.T) {
				t.Parallel()
				for n, met := 1, true; met; n++ {
					var want string
					for _, again := range []bool{false, true} {
						s := newShaky(t)
						do := d.prepare(s)
						full, empty := s.disk.Store, storetest.NewMemory(s.clock.Now)
						c := &conflicted{Store: full, left: n, committed: full}
						if gone {
							c.committed = empty
						}
						if again && gone {
							c.seen = full
						} else if again {
							c.seen = empty
						}
						s.disk.Store, s.outbox.store = c, c
						sent := len(s.outbox.messages())
						got := s.outcome(do).String() + fmt.Sprintf("\n%v\n%+v\n%q", s.spent(), s.outbox.messages()[sent:], s.outbox.faults)
						if !again {
							want = got
						} else if got != want {
							t.Errorf("update %d: run twice, got %s\nwant %s", n, got, want)
						}
						met = c.left <= 0
					}
				}
			})
		}
	}
}
