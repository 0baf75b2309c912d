// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

func init() {
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(IdentityHandler))
}

// Handler is the client-facing side. It stands before `reverse_proxy` on the
// public site, answers requestToken, the pages and codes, prepares the calls
// that use them, and passes on everything else untouched. It is configured by
// the `threepid` app.
type Handler struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.threepid", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.app, err = findApp(ctx)
	return err
}

func findApp(ctx caddy.Context) (*App, error) {
	mod, err := ctx.App("threepid")
	if err != nil {
		return nil, fmt.Errorf("load threepid app: %w", err)
	}
	app, ok := mod.(*App)
	if !ok {
		return nil, fmt.Errorf("app threepid is a %T", mod)
	}
	return app, nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rt, err := h.app.start()
	if err != nil {
		if !h.app.concerns(r) {
			return next.ServeHTTP(w, r)
		}
		h.app.logger.Error("not ready", errField(err))
		handlers.Unavailable(w)
		return nil
	}
	err = rt.client.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error {
		return toUpstream(next.ServeHTTP(w, r))
	})
	return fromUpstream(err)
}

// concerns reports whether a request must not pass while the store is out of
// reach: credentials that are not replaced prove nothing to the homeserver,
// but the client deserves a better answer.
func (a *App) concerns(r *http.Request) bool { return handlers.Ours(a.cfg, r.URL) }

// toUpstream translates Caddy's error for the handlers, which do not know it.
func toUpstream(err error) error {
	var he caddyhttp.HandlerError
	if errors.As(err, &he) {
		return &handlers.UpstreamError{Status: he.StatusCode, Err: err}
	}
	return err
}

// fromUpstream gives Caddy back the very error that it had returned.
func fromUpstream(err error) error {
	var ue *handlers.UpstreamError
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// IdentityHandler is the homeserver-facing side: what a homeserver needs of an
// identity server, and nothing else. Put it on a site of its own that only the
// homeserver can reach. It answers every request itself.
type IdentityHandler struct {
	// Networks, in CIDR notation, that the homeserver may call from. Default:
	// loopback and the private ranges. Anybody else gets 404.
	Allow []string `json:"allow,omitempty"`

	app   *App
	allow []netip.Prefix

	once sync.Once
	face *handlers.Identity
}

// CaddyModule returns the Caddy module information.
func (*IdentityHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.threepid_identity", New: func() caddy.Module { return new(IdentityHandler) }}
}

// Provision finds the app and parses the networks.
func (h *IdentityHandler) Provision(ctx caddy.Context) (err error) {
	for _, s := range h.Allow {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("allow %q: must be a network such as 10.1.2.0/24", s)
		}
		h.allow = append(h.allow, p.Masked())
	}
	h.app, err = findApp(ctx)
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *IdentityHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	rt, err := h.app.start()
	if err != nil {
		h.app.logger.Error("not ready", errField(err))
		handlers.Unavailable(w)
		return nil
	}
	h.once.Do(func() {
		cfg := h.app.cfg
		if h.allow != nil {
			cfg.IdentityAllow = h.allow
		}
		h.face = handlers.NewIdentity(cfg, rt.svc, &requestObserver{logger: h.app.logger.Named("requests")})
	})
	h.face.ServeHTTP(w, r)
	return nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*IdentityHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*IdentityHandler)(nil)
)
