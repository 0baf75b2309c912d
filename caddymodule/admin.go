// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddyserver/caddy/v2"

func init() {
	caddy.RegisterModule(new(AdminAPI))
}

// AdminAPI keeps the metrics of the admin endpoint whole. Caddy sets that
// endpoint up before any app, and leaves it as it is when the configuration is
// then rejected: if another app fails first, ours is never provisioned, and its
// counters would be missing until the next reload. It adds no routes.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.threepid",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Provision registers the collectors.
func (*AdminAPI) Provision(ctx caddy.Context) error {
	return registerMetrics(ctx.GetMetricsRegistry())
}

// Routes implements caddy.AdminRouter.
func (*AdminAPI) Routes() []caddy.AdminRoute { return nil }

// Interface guards
var (
	_ caddy.AdminRouter = (*AdminAPI)(nil)
	_ caddy.Provisioner = (*AdminAPI)(nil)
)
