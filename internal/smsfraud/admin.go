// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/store"
)

var errPrefix = errors.New(`a prefix is written as the status shows it: "+4479001…", with or without its signs`)

// Resume lifts the pause of a prefix, or all pauses if prefix is empty, and
// reports whether there was one. The statistic of the prefix starts anew.
func (s *Shield) Resume(ctx context.Context, prefix string) (bool, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(prefix, "+"), "…")
	if prefix != "" && !onlyDigits(digits) {
		return false, errPrefix
	}
	prefixes, err := s.prefixes(ctx, s.now())
	if err != nil {
		return false, err
	}
	lifted := false
	for _, p := range prefixes {
		if p.Until == 0 || digits != "" && digits != p.Digits {
			continue
		}
		// It may have ended since, or have been lifted by somebody else.
		var one bool
		_, err := s.keep(ctx, message{prefix: p.Digits}, func(b *books) bool {
			if one = b.prefix.paused(b.now) > 0; one {
				b.prefix.lift()
				b.resumed = true
			}
			return one
		})
		if err != nil {
			return lifted, fmt.Errorf("resume prefix: %w", err)
		}
		lifted = lifted || one
	}
	return lifted, nil
}

// Forget erases what is kept about a number: its messages, and its name in the
// records of the clients that have reached it. It returns in how many entries
// there was something. Sums do not tell of one number, and stay; so does a client
// stay as near to its limits as it was.
func (s *Shield) Forget(ctx context.Context, digits string) (n int, err error) {
	if !onlyDigits(digits) {
		return 0, errDigits
	}
	number := s.numberNames(digits)
	erased := 0
	err = s.store.Update(ctx, partition, func(txn store.Txn) error {
		erased = 0
		for _, name := range number {
			_, err := txn.Get(kindNumber + name)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			erased++
			if err := txn.Delete(kindNumber + name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget number: %w", err)
	}
	clients, err := s.clientsOf(ctx, number)
	if err != nil {
		return erased, fmt.Errorf("forget number: %w", err)
	}
	for _, key := range clients {
		done, err := s.forgetUse(ctx, key, number)
		if err != nil {
			return erased, fmt.Errorf("forget number: %w", err)
		}
		if done {
			erased++
		}
	}
	return erased, nil
}

// clientsOf returns the keys of the clients that have reached a number.
func (s *Shield) clientsOf(ctx context.Context, number []string) (keys []string, err error) {
	err = s.store.Scan(ctx, partition, kindClient, func(key string, sealed []byte) (bool, error) {
		var c clientRecord
		if s.codec.open(key, sealed, &c) == nil && c.find(number) >= 0 {
			keys = append(keys, key)
		}
		return true, nil
	})
	return keys, err
}

// forgetUse puts chance in the place of a number's name: the number cannot be
// recognised any more, and the client has no room for another one.
func (s *Shield) forgetUse(ctx context.Context, key string, number []string) (done bool, err error) {
	err = s.store.Update(ctx, partition, func(txn store.Txn) error {
		var c clientRecord
		e, _, err := s.codec.load(txn, "", []string{key}, &c, s.now())
		if err != nil {
			return err
		}
		done = false // it may be run again
		for i := range c.Uses {
			if slices.Contains(number, c.Uses[i].Number) {
				c.Uses[i].Number, done = rand.Text(), true
			}
		}
		return s.codec.save(txn, e)
	})
	return done, err
}
