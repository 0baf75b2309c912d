// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// maxSteps bounds how many handlers and routes one request is followed through,
// with all its doubts. Nobody has written a site that needs as many.
const maxSteps = 4096

// kind is how the way of a request ends.
type kind uint8

const (
	// nothing: no handler has answered, so Caddy does, with an empty 200.
	nothing kind = iota
	// proxied: it was sent to upstreams.
	proxied
	// identity: it was answered by `threepid_identity`.
	identity
	// answered: by a handler that makes its own answers.
	answered
	// unknown: by one that is not known, or it was not followed to the end.
	unknown
)

// end is one way that a request can take.
type end struct {
	kind kind
	// sure: no doubt was on the way.
	sure bool
	// gated: a handler on the way may have kept it from going on.
	gated bool
	// guarded: it has come by `threepid`, which saw it under the path at. If
	// fog, paths are not known.
	guarded bool
	at      string
	fog     bool
	// path and dials are those of what was proxied.
	path  string
	dials []string
}

// sees reports whether `threepid` may have seen a path.
func (e end) sees(path func(string) bool) bool { return e.guarded && (e.fog || path(e.at)) }

// state is a request on its way.
type state struct {
	end
	req    *http.Request
	groups map[string]bool // that a route was taken of; never changed
}

func (st state) doubted() state {
	st.sure = false
	return st
}

func (st state) in(group string) state {
	if group != "" {
		st.groups = maps.Clone(st.groups)
		if st.groups == nil {
			st.groups = map[string]bool{}
		}
		st.groups[group] = true
	}
	return st
}

// walker follows one request.
type walker struct {
	server *caddyhttp.Server
	steps  int
	ends   []end
}

// follow returns all ways that a request may take in a server. Errors, and the
// routes that handle them, are not followed: no request is meant to fail.
func follow(server *caddyhttp.Server, method, host, path string) []end {
	w := &walker{server: server}
	w.routes(server.Routes, state{end: end{sure: true}, req: madeUp(method, host, path)}, w.stop(nothing))
	if w.steps > maxSteps {
		return []end{{kind: unknown, guarded: true, fog: true}}
	}
	return w.ends
}

// stop ends a way.
func (w *walker) stop(k kind) func(state) {
	return func(st state) {
		st.kind, st.path = k, st.req.URL.Path
		w.ends = append(w.ends, st.end)
	}
}

// tired counts steps.
func (w *walker) tired() bool {
	w.steps++
	return w.steps > maxSteps
}

// routes is [caddyhttp.RouteList.Compile] with doubts.
func (w *walker) routes(list caddyhttp.RouteList, st state, next func(state)) {
	if w.tired() {
		return
	}
	if len(list) == 0 {
		next(st)
		return
	}
	route := list[0]
	rest := func(st state) { w.routes(list[1:], st, next) }
	if route.Group != "" && st.groups[route.Group] {
		rest(st)
		return
	}
	found := matches(route.MatcherSets, st.req)
	if found == maybe {
		st = st.doubted()
	}
	if found != yes {
		rest(st)
	}
	if found == no {
		return
	}
	if route.Terminal {
		rest = w.stop(nothing)
	}
	w.handlers(route.Handlers, st.in(route.Group), rest)
}

func (w *walker) handlers(list []caddyhttp.MiddlewareHandler, st state, next func(state)) {
	if w.tired() {
		return
	}
	if len(list) == 0 {
		next(st)
		return
	}
	w.handler(list[0], st, func(st state) { w.handlers(list[1:], st, next) })
}
