// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answer is whether a request matches, as far as can be known.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

// matches is [caddyhttp.MatcherSets.AnyMatchWithError] with doubts.
func matches(sets caddyhttp.MatcherSets, r *http.Request) answer {
	if len(sets) == 0 {
		return yes
	}
	return anyOf(sets, r)
}

func anyOf(sets caddyhttp.MatcherSets, r *http.Request) answer {
	best := no
	for _, set := range sets {
		all := yes
		for _, m := range set {
			all = min(all, one(m, r))
		}
		best = max(best, all)
	}
	return best
}

// one asks a matcher that looks at host, method and path only. Others look at
// what a made-up request does not have, or at files, or at anything.
func one(matcher any, r *http.Request) answer {
	switch m := matcher.(type) {
	case *caddyhttp.MatchHost, caddyhttp.MatchHost, *caddyhttp.MatchMethod, caddyhttp.MatchMethod,
		*caddyhttp.MatchPath, caddyhttp.MatchPath, *caddyhttp.MatchPathRE, caddyhttp.MatchPathRE:
		return really(m, r)
	case *caddyhttp.MatchNot:
		return yes - anyOf(m.MatcherSets, r)
	case caddyhttp.MatchNot:
		return yes - anyOf(m.MatcherSets, r)
	}
	return maybe
}

func really(matcher any, r *http.Request) answer {
	m, ok := matcher.(caddyhttp.RequestMatcherWithError)
	if !ok {
		return maybe
	}
	found, err := m.MatchWithError(r)
	switch {
	case err != nil:
		return maybe
	case found:
		return yes
	}
	return no
}
