// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
)

// readNotices reads a switch that is on unless told otherwise.
func (a *App) readNotices(d *caddyfile.Dispenser) error {
	on := true
	err := config.OnOff(d, &on)()
	a.NoNotices = !on
	return err
}
