// SPDX-License-Identifier: Apache-2.0

package keycheck_test

import (
	"errors"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestAStoreThatFailsIsNotJudged: whichever of its operations fails, it is neither
// somebody else's, nor empty, nor one that has been written; and the next try is as good
// as the first.
func TestAStoreThatFailsIsNotJudged(t *testing.T) {
	broken := errors.New("read error")
	keys := ring(t, key(1, 1))
	for name, do := range map[string]func(t *testing.T, s store.Store) error{
		"Claim": func(t *testing.T, s store.Store) error {
			_, err := keycheck.Claim(t.Context(), s, keys, now)
			return err
		},
		"Save": func(t *testing.T, s store.Store) error {
			_, err := keycheck.Save(t.Context(), s, keys, keys.Marks(), now)
			return err
		},
		"Read": func(t *testing.T, s store.Store) error {
			_, err := keycheck.Read(t.Context(), s, keys)
			return err
		},
		"Inspect": func(t *testing.T, s store.Store) error {
			found, err := keycheck.Inspect(t.Context(), s, keys, layout)
			if err != nil && found.Contents != keycheck.Unseen {
				t.Errorf("%v beside %v", found, err)
			}
			return err
		},
	} {
		for n := 1; ; n++ {
			s := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: broken}
			if name == "Read" {
				if _, err := keycheck.Claim(t.Context(), s, keys, now); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, s, "00", "s/record", keys.Seal("s/record", []byte("x")))
			}
			s.Arm(n)
			err := do(t, s)
			broke := s.Broke()
			if s.Arm(0); broke == "" {
				if n == 1 || err != nil {
					t.Errorf("%s: %v after %d operations", name, err, n-1)
				}
				break
			}
			if !errors.Is(err, broken) {
				t.Errorf("%s: %s fails: got %v, want %v", name, broke, err, broken)
			}
			if err := do(t, s); err != nil {
				t.Errorf("%s after %s has failed: %v", name, broke, err)
			}
		}
	}
}
