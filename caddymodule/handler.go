// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("threepid", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		m := new(Handler)
		return m, m.UnmarshalCaddyfile(h.Dispenser)
	})
	// After encode, so that what we answer is compressed; before handle and
	// route, inside which a reverse_proxy would otherwise bypass us.
	httpcaddyfile.RegisterDirectiveOrder("threepid", httpcaddyfile.After, "encode")
}

// Handler stands in front of a Matrix homeserver. It answers the requestToken
// endpoints, serves the page behind the link in a mail, completes what was
// confirmed, and adds to /versions that no identity server is required.
// Everything else goes to the next handler as it came. Its configuration is
// the `threepid` app's.
type Handler struct {
	app    *App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.threepid",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	h.app, err = appOf(ctx)
	return err
}

// appOf returns the app of a configuration. One that has no options for it
// gets an app with defaults. It is nil if the app is configured and refused that:
// Caddy, which sets up all apps in any order, says so then, and does it without
// the names of all modules around the handler.
func appOf(ctx caddy.Context) (*App, error) {
	mod, err := ctx.AppIfConfigured("threepid")
	if errors.Is(err, caddy.ErrNotConfigured) {
		if mod, err = ctx.App("threepid"); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, nil
	}
	app, ok := mod.(*App)
	if !ok {
		return nil, fmt.Errorf("app threepid is a %T", mod)
	}
	return app, nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	inst, err := h.app.Open()
	if err != nil {
		return h.unavailable(w, r, next, err)
	}
	h.app.lookForProxies(r)
	release := inst.Store.Hold()
	defer release()
	if machine := inst.ForMachines(r); machine != nil {
		handlers.Bound(w, r)
		machine.ServeHTTP(w, r)
		return nil
	}
	err = inst.Serve(w, r, func(inner http.ResponseWriter, r *http.Request) error {
		if handlers.PassedOn(inner) == w {
			// Passed on, for minutes perhaps, and no business of ours any more.
			release()
		}
		return toUpstream(next.ServeHTTP(inner, r))
	})
	return fromUpstream(err)
}

// unavailable answers what is ours and passes on the rest: a server whose
// store is out of reach is still a homeserver. Credentials of ours that get
// past prove nothing to it, because it is told of no identity server.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, err error) error {
	if r.Method == http.MethodOptions || !handlers.Ours(h.app.settings.HTTP, r.URL) {
		return handlers.PassWithoutNames(w, r, next.ServeHTTP)
	}
	handlers.Bound(w, r)
	h.logger.Error("cannot serve", zap.Error(err))
	answer, err := h.app.unavailable()
	if err != nil {
		return err
	}
	answer.ServeHTTP(w, r)
	return nil
}

// toUpstream puts the status of a Caddy error where package handlers looks for
// it. One without a status came from behind us all the same.
func toUpstream(err error) error {
	if err == nil {
		return nil
	}
	status := http.StatusBadGateway
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status = he.StatusCode
	}
	return &handlers.UpstreamError{Status: status, Err: err}
}

// fromUpstream gives Caddy its own error back, unchanged.
func fromUpstream(err error) error {
	if ue, ok := errors.AsType[*handlers.UpstreamError](err); ok {
		return ue.Err
	}
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	threepid [<matcher>]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.Errf("threepid takes no arguments besides a matcher, not '%s'", d.Val())
	}
	if d.NextBlock(0) {
		return d.Err("threepid takes no options on a site; they belong into the global option of the same name, at the top of the file")
	}
	return nil
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
