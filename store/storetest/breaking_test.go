// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestBreakingBreaksEachOperationOnce: every one of them in turn, in the order in
// which they are made, and none besides; what was written is what should be.
func TestBreakingBreaksEachOperationOnce(t *testing.T) {
	fault := errors.New("fault")
	end := time.Now().Add(time.Hour)
	deed := func(ctx context.Context, s store.Store) error {
		return errors.Join(
			s.Update(ctx, "p", func(txn store.Txn) error {
				_, err := txn.Get("a")
				return errors.Join(err, txn.Set("b", nil, end), txn.Delete("a"))
			}),
			store.UpdateAsync(ctx, s, "q", func(txn store.Txn) error { return txn.Set("c", nil, end) }),
			s.View(ctx, "q", func(txn store.Txn) error {
				_, err := txn.Get("z")
				return err
			}),
			s.Scan(ctx, "p", "b", func(string, []byte) (bool, error) { return true, nil }),
			s.Scan(ctx, "q", "b", func(string, []byte) (bool, error) { return true, nil }),
			s.Scan(ctx, "p", "b", func(string, []byte) (bool, error) { return false, nil }),
		)
	}
	want := []string{ // what breaks, and which keys are there afterwards
		"update p :a c", "get p a:a c", "set p b:a c", "delete p a:a c", "commit p :a c", "committed p :b c",
		"update q :b", "set q c:b", "commit q :b", "committed q :b c", "view q :b c", "get q z:b c", "scan p b:b c", "entry p b:b c",
		"scan p b:b c", "entry p b:b c",
	}
	var got []string
	for n := 1; ; n++ {
		s := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: fault}
		if err := s.Update(t.Context(), "p", func(txn store.Txn) error { return txn.Set("a", nil, end) }); err != nil {
			t.Fatal(err)
		}
		s.Arm(n)
		err := deed(t.Context(), s)
		broke := s.Broke()
		if errors.Is(err, fault) != (broke != "") {
			t.Errorf("operation %d: error %v, and what broke is %q", n, err, broke)
		}
		if broke == "" {
			break
		}
		s.Arm(0)
		var left []string
		for _, p := range []store.Partition{"p", "q"} {
			if err := s.Scan(t.Context(), p, "", func(key string, _ []byte) (bool, error) {
				left = append(left, key)
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, broke+":"+strings.Join(left, " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// TestBreakingConforms: unarmed it is a store like any other.
func TestBreakingConforms(t *testing.T) {
	clock := storetest.NewClock(time.Now())
	storetest.Run(t, func(*testing.T) store.Store { return &storetest.Breaking{Store: storetest.NewMemory(clock.Now)} },
		storetest.WithClock(clock.Now, clock.Advance))
}
