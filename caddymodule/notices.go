// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// readNotices reads a switch that is on unless told otherwise.
func (a *App) readNotices(d *caddyfile.Dispenser) error {
	on := true
	err := onOff(d, &on)()
	a.NoNotices = !on
	return err
}
