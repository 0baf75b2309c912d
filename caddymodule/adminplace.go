// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// adminConfig is how the admin endpoint of a configuration is configured; nil is
// by default. Caddy tells modules nothing of it, neither where it listens nor
// whether it is on, so it is looked up where Caddy has it. known is false if a
// newer Caddy has it elsewhere; a test notices that.
func adminConfig(ctx caddy.Context) (admin *caddy.AdminConfig, known bool) {
	cfg := reflect.ValueOf(ctx).FieldByName("cfg")
	if !cfg.IsValid() || cfg.Type() != reflect.TypeFor[*caddy.Config]() || cfg.IsNil() {
		return nil, false
	}
	// What is behind an unexported field may be read member by member only.
	there := cfg.Elem().FieldByName("Admin")
	if there.IsNil() {
		return nil, true
	}
	there = there.Elem()
	return &caddy.AdminConfig{
		Disabled:      there.FieldByName("Disabled").Bool(),
		Listen:        there.FieldByName("Listen").String(),
		EnforceOrigin: there.FieldByName("EnforceOrigin").Bool(),
	}, true
}

// adminPlace is where the admin endpoint of a configuration listens, in the
// doctor's words; nil where it does not or nobody knows.
func adminPlace(ctx caddy.Context) *doctor.AdminEndpoint {
	admin, known := adminConfig(ctx)
	if !known || admin != nil && admin.Disabled {
		return nil
	}
	if admin == nil {
		admin = new(caddy.AdminConfig)
	}
	// As Caddy reads it when it begins to listen.
	listen, err := caddy.NewReplacer().ReplaceOrErr(admin.Listen, true, true)
	if err != nil {
		return nil
	}
	if listen == "" {
		listen = caddy.DefaultAdminListen
	}
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil {
		return nil
	}
	place := &doctor.AdminEndpoint{Network: address.Network, Address: address.JoinHostPort(0), OriginEnforced: admin.EnforceOrigin}
	if address.IsUnixNetwork() {
		place.Address, _, _ = strings.Cut(place.Address, "|") // without the mode
	}
	return place
}

// DocumentedSocket is where Caddyfile.example has the admin endpoint.
const DocumentedSocket = "/run/threepid/admin.sock"

// adminSocket is what to write into the global options.
const adminSocket = "admin unix/" + DocumentedSocket + "|0600"

// warnOfAdmin has the operator told, when the configuration starts, that users of
// the homeserver reach the admin endpoint by means of it.
func (a *App) warnOfAdmin(ctx caddy.Context) {
	if place := adminPlace(ctx); place != nil && place.Open() {
		a.notice("the admin endpoint listens on a port, where the homeserver posts for any of its users; run `caddy threepid doctor`",
			zap.String("address", place.Address), zap.String("write", adminSocket))
	}
}
