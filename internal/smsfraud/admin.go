// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
