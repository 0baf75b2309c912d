// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/url"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Paths of our own, see package route.
const (
	SubmitPath = route.SubmitPath
	RefusePath = route.RefusePath
	ProbePath  = route.ProbePath
)

// DefaultPrefixes are the path prefixes that are served unless told otherwise.
var DefaultPrefixes = route.DefaultPrefixes

// PagePath is the path of a medium's links and of its help page.
func PagePath(medium verification.Medium) string { return route.PagePath(medium) }

// Ours reports whether a path is one that a Client would answer or rewrite.
func Ours(cfg Config, u *url.URL) bool {
	rt := &route.Router{Prefixes: cfg.Prefixes, Identity: cfg.IdentitySubmit}
	found, suspicious := rt.Classify(u)
	return suspicious || found.Kind != route.KindNone || route.InOwnSpace(u)
}
