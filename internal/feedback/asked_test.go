// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestEveryOperationFailsOnce: whichever it is of what is stored before and after a change
// of keys, whoever asked is told so and nothing else; and it can be done again.
func TestEveryOperationFailsOnce(t *testing.T) {
	ctx, content := context.Background(), sha256.Sum256([]byte("content"))
	until := start.Add(time.Hour)
	for name, do := range map[string]func(b *bench) (any, error){
		"Add":    func(b *bench) (any, error) { return false, b.Add(ctx, verification.Email, alice, ReasonBounce, until) },
		"Record": func(b *bench) (any, error) { return false, b.Record(ctx, verification.Email, alice, hardBounce(start)) },
		"Lookup": func(b *bench) (any, error) {
			_, listed, err := b.Lookup(ctx, verification.Email, bob)
			return listed, err
		},
		"Remove": func(b *bench) (any, error) { return b.Remove(ctx, verification.Email, bob) },
		"Claim, as before": func(b *bench) (any, error) {
			return NewReplayGuard(b.store, b.keys).Claim(ctx, "known", content, until)
		},
		"Claim": func(b *bench) (any, error) { return NewReplayGuard(b.store, b.keys).Claim(ctx, "new", content, until) },
	} {
		for _, rotated := range []bool{false, true} {
			prepare := func() (*bench, *storetest.Breaking) {
				b := newBench(t, Policy{})
				b.record(t, bob, hardBounce(start))
				if ok, err := NewReplayGuard(b.store, b.keys).Claim(ctx, "known", content, until); err != nil || !ok {
					t.Fatalf("Claim = %v, %v", ok, err)
				}
				disk := &storetest.Breaking{Store: b.store, Err: errBroken}
				b.store, b.cfg.Store = disk, disk
				if rotated {
					b.renew(t, 8, 7)
				}
				return b, disk
			}
			b, _ := prepare()
			want, err := do(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			stored := fmt.Sprint(len(b.everything(t)))
			for n := 1; ; n++ {
				b, disk := prepare()
				disk.Arm(n)
				got, err := do(b)
				broke := disk.Broke()
				if disk.Arm(0); broke == "" {
					break
				}
				if !errors.Is(err, errBroken) || got != false {
					t.Errorf("%s, %s fails: got %v, %v, want the store's error", name, broke, got, err)
				}
				again, err := do(b) // of Remove, the part that is left
				if err != nil || again != want && name != "Remove" && !strings.HasPrefix(broke, storetest.Committed) || fmt.Sprint(len(b.everything(t))) != stored {
					t.Errorf("%s after %s: got %v, %v and %d entries, want %v and %s", name, broke, again, err, len(b.everything(t)), want, stored)
				}
			}
		}
	}
}
