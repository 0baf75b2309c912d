// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/handlers"
)

func init() {
	caddy.RegisterModule(new(IdentityHandler))
	httpcaddyfile.RegisterHandlerDirective("threepid_identity", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		m := new(IdentityHandler)
		return m, m.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("threepid_identity", httpcaddyfile.After, "encode")
}

// IdentityHandler is the identity server that the homeserver is told to trust:
// it confirms to the homeserver, and to nobody else, which addresses were
// verified. It answers every request and never calls the next handler. Put it
// on a site of its own that listens on loopback.
type IdentityHandler struct {
	// The networks that the homeserver may call from, as CIDR ranges or
	// addresses. The peer of the connection counts; headers like
	// X-Forwarded-For do not. Default: loopback, link-local and private
	// networks.
	Allow []string `json:"allow,omitempty"`

	app    *App
	logger *zap.Logger
	config handlers.Config
}

// CaddyModule returns the Caddy module information.
func (*IdentityHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.threepid_identity",
		New: func() caddy.Module { return new(IdentityHandler) },
	}
}

// Provision finds the app and reads the networks.
func (h *IdentityHandler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.app, err = appOf(ctx); err != nil || h.app == nil {
		return err
	}
	h.config = h.app.settings.HTTP
	e := newExpander()
	if networks := h.networks(e); len(networks) > 0 {
		h.config.IdentityAllow = networks
	}
	return e.Err(nil)
}

// networks reads those that the homeserver may call from.
func (h *IdentityHandler) networks(e *config.Expander) (networks []netip.Prefix) {
	list := e.List("threepid_identity allow", h.Allow)
	if e.Failed() {
		return nil // what could not be expanded is no network
	}
	for _, text := range list {
		network, err := parseNetwork(text)
		if err != nil {
			e.Failf("threepid_identity %w", err)
		}
		networks = append(networks, network)
	}
	return networks
}

// parseNetwork reads a CIDR range or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("allow %s: is neither an address nor a CIDR range; write 192.0.2.7 or 192.0.2.0/24", s)
	}
	return prefix.Masked(), nil
}

func (h *IdentityHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	handlers.Bound(w, r) // nothing is passed on
	inst, err := h.app.Open()
	if err != nil {
		h.logger.Error("cannot serve", zap.Error(err))
		handlers.NotReady(w)
		return nil
	}
	defer inst.Store.Hold()()
	inst.Identity(h.config, h.logger, h.app.reached).ServeHTTP(w, r)
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	threepid_identity [<matcher>] {
//		allow <address or CIDR range...>
//	}
func (h *IdentityHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.Errf("threepid_identity takes no arguments besides a matcher, not '%s'; networks are written: allow <network...>", d.Val())
	}
	if err := config.ReadBlock(d, 0, config.Options{"allow": config.ManyArgs(d, &h.Allow)}); err != nil {
		return err
	}
	e := newDraft()
	h.networks(e)
	return e.Err(config.UnderName(config.OutlineOf(d)))
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*IdentityHandler)(nil)
	_ caddy.Provisioner           = (*IdentityHandler)(nil)
	_ caddyfile.Unmarshaler       = (*IdentityHandler)(nil)
)
