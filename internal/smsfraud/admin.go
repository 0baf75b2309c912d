// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

var errPrefix = errors.New(`a prefix or network is written as the status shows it: "+4479001…", with or without its signs, or "network-0123456789"`)

// Resume lifts the pause of a prefix or a network, or all pauses if what is empty, and
// reports whether there was one. The statistic of what is lifted starts anew.
func (s *Shield) Resume(ctx context.Context, what string) (bool, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(what, "+"), "…")
	if what != "" && !onlyDigits(digits) && !strings.HasPrefix(what, networkWord) {
		return false, errPrefix
	}
	now := s.now()
	prefixes, err := s.prefixes(ctx, now)
	if err != nil {
		return false, err
	}
	networks, err := s.networks(ctx, now)
	if err != nil {
		return false, err
	}
	var paused []message
	for _, p := range prefixes {
		if p.Until != 0 && (what == "" || digits == p.Digits) {
			paused = append(paused, message{prefix: p.Digits})
		}
	}
	for _, n := range networks {
		if n.Until != 0 && (what == "" || what == pseudonym(n.name)) {
			paused = append(paused, message{network: []string{n.name}})
		}
	}
	return s.resume(ctx, paused)
}

// resume lifts what is still paused of that.
func (s *Shield) resume(ctx context.Context, paused []message) (lifted bool, err error) {
	for _, m := range paused {
		var one bool // it may have ended since, or have been lifted by somebody else
		_, err := s.keep(ctx, m, func(b *books) bool {
			if b.network != nil {
				one = b.network.resume(&b.ofNetwork, b.now)
			} else {
				one = b.prefix.resume(&b.ofPrefix, b.now)
			}
			return one
		})
		if err != nil {
			return lifted, fmt.Errorf("resume: %w", err)
		}
		lifted = lifted || one
	}
	return lifted, nil
}
