// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// The IDs of our own handlers. Their types are those of the package above.
const (
	guardID    = "http.handlers.threepid"
	identityID = "http.handlers.threepid_identity"
)

// passing are handlers that let every request pass that matters here, whoever
// it comes from. A handler that is not known may be a gate.
var passing = []string{
	"http.handlers.acme_server", "http.handlers.copy_response_headers", "http.handlers.encode", "http.handlers.headers",
	"http.handlers.intercept", "http.handlers.log_append", "http.handlers.map", "http.handlers.push", "http.handlers.request_body",
	"http.handlers.templates", "http.handlers.timeouts", "http.handlers.tracing", "http.handlers.vars",
	// Of others; they look at what a request has, not at whose it is.
	"http.handlers.cache", "http.handlers.crowdsec", "http.handlers.rate_limit", "http.handlers.waf",
}

// handler follows a request through one handler.
func (w *walker) handler(handler caddyhttp.MiddlewareHandler, st state, next func(state)) {
	switch h := handler.(type) {
	case *caddyhttp.Subroute:
		w.routes(h.Routes, st, next)
	case *caddyhttp.Invoke:
		w.invoke(h.Name, st, next)
	case *rewrite.Rewrite:
		changed, known := rewritten(st.req, h)
		st.req, st.fog = changed, st.fog || !known
		st.sure = st.sure && known
		next(st)
	case *reverseproxy.Handler:
		w.proxy(h, st, next)
	case *fileserver.FileServer:
		if h.PassThru {
			st = st.doubted()
			next(st)
		}
		w.stop(answered)(st)
	default:
		w.byName(handler, st, next)
	}
}

// invoke follows a request through a named route. One that is not there is an
// error.
func (w *walker) invoke(name string, st state, next func(state)) {
	route, ok := w.server.NamedRoutes[name]
	if !ok || route == nil {
		w.stop(unknown)(st.doubted())
		return
	}
	// Its `next` is the invoking route's, also if it is terminal.
	w.routes(caddyhttp.RouteList{*route}, st, next)
}

// proxy ends the way at upstreams. If answers of theirs are looked at, as
// forward_auth does, the request may also go on.
func (w *walker) proxy(h *reverseproxy.Handler, st state, next func(state)) {
	if len(h.HandleResponse) > 0 {
		on := st.doubted()
		on.gated = true
		next(on)
	}
	if h.Rewrite != nil {
		changed, known := rewritten(st.req, h.Rewrite)
		st.req, st.fog = changed, st.fog || !known
	}
	for _, upstream := range h.Upstreams {
		st.dials = append(slices.Clip(st.dials), dialled(upstream.Dial)...)
	}
	w.stop(proxied)(st)
}

// byName is for handlers of which no more than the name matters.
func (w *walker) byName(handler caddyhttp.MiddlewareHandler, st state, next func(state)) {
	id := ""
	if m, ok := handler.(caddy.Module); ok {
		id = string(m.CaddyModule().ID)
	}
	switch {
	case id == guardID:
		if !st.guarded {
			st.guarded, st.at = true, st.req.URL.Path
		}
		next(st)
	case id == identityID:
		w.stop(identity)(st)
	case id == "http.handlers.static_response", id == "http.handlers.error", id == "http.handlers.metrics":
		w.stop(answered)(st)
	case slices.Contains(passing, id):
		next(st)
	case id == "http.handlers.authentication":
		st.gated = true
		next(st)
	default:
		st = st.doubted()
		st.gated = true
		w.stop(unknown)(st)
		next(st)
	}
}
