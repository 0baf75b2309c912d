// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/url"

	"github.com/caddy-threepid/caddy-threepid/handlers/identity"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// What the server around us has to know of the packages below.
type (
	// Next is the handler behind us: the way to the homeserver.
	Next = wire.Next
	// UpstreamError is a failure of Next that carries the HTTP status it stands for.
	UpstreamError = wire.UpstreamError
	// MatrixError is an answer that refuses.
	MatrixError = wire.MatrixError
	// Event is one request that we answered or rewrote, for metrics and logs.
	Event = report.Event
	// Change is a change of somebody's addresses, for the audit log.
	Change = report.Change
	// Identity is the homeserver-facing side.
	Identity = identity.Handler
	// Observer takes events.
	Observer = report.Observer
)

// SayBarred names the words for numbers that get no messages.
const SayBarred = wire.SayBarred

// Bound gives a client a time to send its body, see package wire. A [Client] does this
// itself for all that it answers.
func Bound(w http.ResponseWriter, r *http.Request) { _ = wire.Bound(w, r) }

// PassedOn returns the writer that a [Next] was called with, without what is around it
// only to change names: that needs nothing that could be in the way of whoever waits for
// the answer.
func PassedOn(w http.ResponseWriter) http.ResponseWriter { return wire.PassedOn(w) }

// NotReady tells a machine that there is no store yet, or none any more.
func NotReady(w http.ResponseWriter) { wire.NotReady(w) }

// Paths of our own, see package route.
const (
	SubmitPath = route.SubmitPath
	RefusePath = route.RefusePath
	ProbePath  = route.ProbePath
)

// DefaultPrefixes are the path prefixes that are served unless told otherwise.
var DefaultPrefixes = route.DefaultPrefixes

// PagePath is the path of a medium's links and of its help page.
func PagePath(medium threepid.Medium) string { return route.PagePath(medium) }

// Ours reports whether a path is one that a Client would answer or rewrite.
func Ours(cfg Config, u *url.URL) bool {
	rt := &route.Router{Prefixes: cfg.Prefixes, Identity: cfg.IdentitySubmit}
	found, suspicious := rt.Classify(u)
	return suspicious || found.Kind != route.KindNone || route.InOwnSpace(u)
}
